"""The ASGI side of dispatch: requests that are passed on to models and model services, beside FastAPI's routes."""
