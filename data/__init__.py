"""The bundled model and sample texts; README.md says where they come from."""
