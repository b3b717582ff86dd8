"""What a person calls each object of the asset libraries, most specific name first.

Names that would mislead are left out: an asset is listed here by what it looks like,
not by what its folder is called.
"""

from __future__ import annotations

from typing import Final

LIBERO_LABELS: Final[dict[str, tuple[str, ...]]] = {
    "alphabet_soup": ("alphabet soup can", "can"),
    "bbq_sauce": ("bbq sauce bottle", "bottle"),
    "butter": ("butter box", "box"),
    "chocolate_pudding": ("chocolate pudding box", "box"),
    "cookies": ("cookie box", "box"),
    "cream_cheese": ("cream cheese box", "box"),
    "ketchup": ("ketchup bottle", "bottle"),
    "macaroni_and_cheese": ("macaroni and cheese box", "box"),
    "milk": ("milk carton", "carton"),
    "new_salad_dressing": ("salad dressing bottle", "bottle"),
    "salad_dressing": ("salad dressing bottle", "bottle"),
    "orange_juice": ("orange juice carton", "carton"),
    "popcorn": ("popcorn box", "box"),
    "tomato_sauce": ("tomato sauce can", "can"),
    "akita_black_bowl": ("black bowl", "bowl"),
    "basket": ("basket",),
    "chefmate_8_frypan": ("frying pan",),
    "glazed_rim_porcelain_ramekin": ("ramekin",),
    "plate": ("plate",),
    "white_bowl": ("white bowl", "bowl"),
    "black_book": ("black book", "book"),
    "yellow_book": ("book",),
    "desk_caddy": ("desk caddy",),
    "moka_pot": ("moka pot",),
    "porcelain_mug": ("white mug", "mug"),
    "red_coffee_mug": ("red mug", "mug"),
    "white_yellow_mug": ("yellow and white mug", "mug"),
    "wine_bottle": ("wine bottle", "bottle"),
    "wine_rack": ("wine rack",),
    "wooden_shelf": ("wooden shelf", "shelf"),
    "wooden_tray": ("wooden tray", "tray"),
    "wooden_two_layer_shelf": ("wooden shelf", "shelf"),
    "flat_stove": ("stove",),
    "microwave": ("microwave",),
    "white_cabinet": ("white cabinet", "cabinet"),
    "wooden_cabinet": ("wooden cabinet", "cabinet"),
    "short_cabinet": ("cabinet",),
    "short_fridge": ("fridge",),
}


def plural(noun: str) -> str:
    """Plural of a short noun phrase: `moka pots`, `boxes`, `dishes`, `shelves`."""
    if noun.endswith(("s", "x", "ch", "sh")):
        return noun + "es"
    return noun[:-1] + "ves" if noun.endswith("f") else noun + "s"
