// A file of its own, because the page's policy runs no script that stands in it.
window.ui = SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  validatorUrl: null, // it would send the document to somebody else
  presets: [SwaggerUIBundle.presets.apis],
});
