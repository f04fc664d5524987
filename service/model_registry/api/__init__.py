"""HTTP: one file per path family. What a request means is decided below; here it is only read and answered."""
