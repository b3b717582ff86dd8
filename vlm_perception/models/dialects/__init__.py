"""How each text-generating family is spoken to and read, one module a family."""
