"""What tests share and pytest fixtures are made of; README.md is the index."""
