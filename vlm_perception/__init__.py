"""Language-grounded RGB-D perception: a sentence in, a 3-D target pose out."""

from pkgutil import extend_path

# The messages are generated into the install space, as vlm_perception.msg. When the source tree
# comes first on the path, this line is what makes both halves one package.
__path__ = extend_path(__path__, __name__)

__version__ = "0.1.0"
