"""How the embedded `tabletop` model came to be: scene generator, trainer and export."""
