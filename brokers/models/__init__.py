"""Models behind the port `engine.research.models.Model`: one module for each way that providers are spoken to."""
