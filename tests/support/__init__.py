"""What tests share and pytest fixtures are made of."""
