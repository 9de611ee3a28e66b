"""The commands of the command line, one module a family; heavy imports happen inside the command that needs them."""
