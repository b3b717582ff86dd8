"""What the things in a generated scene are called. Pure Python: no simulator, no torch.

A thing has `names` (right), and `unclear` phrases (a person might or might not say so: neither
right nor wrong in training). Every other phrase of the vocabulary is wrong for it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Final

COLORS: Final = (
    "red",
    "green",
    "blue",
    "yellow",
    "orange",
    "purple",
    "pink",
    "white",
    "black",
    "gray",
    "brown",
)


@dataclass(frozen=True)
class Naming:
    """Right and unclear phrases of one thing, without articles, in the singular."""

    names: tuple[str, ...]
    unclear: frozenset[str]


@dataclass(frozen=True)
class Kind:
    """How one kind of thing is named.

    Attributes:
        names: Right as the thing comes, in its own colors.
        unclear: Neither right nor wrong.
        nouns: Nouns that stay right whatever its color; a color goes before the first.
        any_color: Its own colors are mixed: `<color> <noun>` is unclear unless named.
    """

    names: tuple[str, ...]
    unclear: tuple[str, ...] = ()
    nouns: tuple[str, ...] = ()
    any_color: bool = False


def _package(head: str, *names: str, unclear: tuple[str, ...] = ()) -> Kind:
    return Kind((*names, head), unclear, (head,), any_color=True)


def _mug(*names: str, unclear: tuple[str, ...] = ()) -> Kind:
    return Kind((*names, "mug", "coffee mug"), ("cup", *unclear), ("mug", "coffee mug"))


_SOUP = _package("can", "alphabet soup can", "alphabet soup", "soup can")
_BBQ = _package("bottle", "bbq sauce bottle", "bbq sauce")
_BUTTER = _package("box", "butter box", "butter")
_PUDDING = _package("box", "chocolate pudding box", "chocolate pudding", "pudding box")
_COOKIES = _package("box", "cookie box", "cookie")
_CHEESE = _package("box", "cream cheese box", "cream cheese")
_KETCHUP = _package("bottle", "ketchup bottle", "ketchup")
_DRESSING = _package("bottle", "salad dressing bottle", "salad dressing")
_JUICE = _package("carton", "orange juice carton", "orange juice", "juice carton", unclear=("box",))
_MILK = _package("carton", "milk carton", "milk", unclear=("box",))
_TOMATO = _package("can", "tomato sauce can", "tomato sauce")
_BLACK_BOWL = Kind(("black bowl", "bowl"), ("gray bowl",), ("bowl",))
_RACK = Kind(("wine rack", "rack"), ("wooden rack", "shelf", "wooden shelf"), ("wine rack", "rack"))
_STOVE = Kind(("stove", "flat stove"), ("burner",), ("stove", "flat stove"))

KINDS: Final[dict[str, Kind]] = {
    "alphabet_soup": _SOUP,
    "red_alphabet_soup": _SOUP,
    "bbq_sauce": _BBQ,
    "green_bbq_sauce": _BBQ,
    "butter": _BUTTER,
    "green_butter": _BUTTER,
    "chocolate_pudding": _PUDDING,
    "green_chocolate_pudding": _PUDDING,
    "cookies": _COOKIES,
    "yellow_cookies": _COOKIES,
    "cream_cheese": _CHEESE,
    "red_cream_cheese": _CHEESE,
    "ketchup": _KETCHUP,
    "green_ketchup": _KETCHUP,
    "macaroni_and_cheese": _package("box", "macaroni and cheese box", "macaroni and cheese", "macaroni box"),
    "milk": _MILK,
    "yellow_milk": _MILK,
    "salad_dressing": _DRESSING,
    "new_salad_dressing": _DRESSING,
    "red_salad_dressing": _DRESSING,
    "orange_juice": _JUICE,
    "red_orange_juice": _JUICE,
    "popcorn": _package("box", "popcorn box", "popcorn"),
    "tomato_sauce": _TOMATO,
    "yellow_tomato_sauce": _TOMATO,
    "akita_black_bowl": _BLACK_BOWL,
    "black_bowl": _BLACK_BOWL,
    "red_akita_black_bowl": Kind(("red bowl", "bowl"), (), ("bowl",)),
    "yellow_bowl": Kind(("yellow bowl", "bowl"), ("white bowl",), ("bowl",)),
    "white_bowl": Kind(("white bowl", "bowl"), (), ("bowl",)),
    "basket": Kind(("basket",), ("white basket", "bin", "laundry basket"), ("basket",)),
    "red_basket": Kind(("basket", "pink basket"), ("red basket", "bin", "laundry basket"), ("basket",)),
    "chefmate_8_frypan": Kind(("frying pan", "pan", "skillet"), ("pot", "black pan"), ("frying pan", "pan")),
    "glazed_rim_porcelain_ramekin": Kind(
        ("ramekin", "white ramekin"), ("bowl", "white bowl", "cup", "white cup"), ("ramekin",)
    ),
    "red_ramekin": Kind(("ramekin", "red ramekin"), ("bowl", "red bowl", "cup", "red cup"), ("ramekin",)),
    "plate": Kind(("plate",), ("white plate", "red plate", "dish"), ("plate",)),
    "yellow_plate": Kind(("plate",), ("white plate", "yellow plate", "dish"), ("plate",)),
    "black_book": Kind(("black book", "book"), (), ("book",)),
    "red_yellow_book": Kind(("red book", "book"), (), ("book",)),
    "yellow_book": Kind(("book",), ("yellow book", "white book", "gray book", "brown book"), ("book",)),
    "bowl_drainer": Kind(("bin", "white bin"), ("basket", "white basket", "box", "white box"), ("bin",)),
    "wine_rack": _RACK,
    "brown_rack": _RACK,
    "desk_caddy": Kind(("desk caddy", "caddy"), ("brown caddy",), ("desk caddy", "caddy")),
    "yellow_desk_caddy": Kind(("desk caddy", "caddy"), ("yellow caddy",), ("desk caddy", "caddy")),
    "moka_pot": Kind(("moka pot", "pot"), ("coffee pot", "white pot", "gray pot"), ("moka pot", "pot")),
    "yellow_moka_pot": Kind(("moka pot", "pot", "yellow moka pot"), ("coffee pot", "yellow pot"), ("moka pot",)),
    "porcelain_mug": _mug("white mug"),
    "white_porcelain_mug": _mug(unclear=("white mug", "yellow mug", "yellow and white mug", "brown mug")),
    "red_coffee_mug": _mug("red mug", unclear=("red and white mug",)),
    "white_yellow_mug": _mug("yellow and white mug", "white and yellow mug", unclear=("yellow mug",)),
    "libero_mug": _mug(unclear=("white mug", "gray mug")),
    "wine_bottle": Kind(("wine bottle", "bottle"), ("black bottle", "green bottle"), ("bottle",)),
    "white_bottle": Kind(("green bottle", "bottle", "wine bottle"), (), ("bottle",)),
    "white_storage_box": Kind(
        ("white box", "box", "storage box"), ("shelf", "white shelf", "bin", "white bin"), ("storage box", "box")
    ),
    "wooden_tray": Kind(("wooden tray", "tray"), ("crate", "box", "wooden box"), ("tray",)),
    "wooden_two_layer_shelf": Kind(
        ("wooden shelf", "shelf"), ("cabinet", "wooden cabinet", "black shelf", "black cabinet"), ("shelf",)
    ),
    "flat_stove": _STOVE,
    "yellow_stove": _STOVE,
    "microwave": Kind(("microwave", "microwave oven"), ("black microwave",), ("microwave",)),
    "short_cabinet": Kind(("wooden cabinet", "cabinet"), ("brown cabinet", "black cabinet", "drawer"), ("cabinet",)),
    "short_fridge": Kind(("fridge", "refrigerator"), ("cabinet", "gray cabinet", "wooden cabinet"), ("fridge",)),
    "white_cabinet": Kind(("white cabinet", "cabinet"), ("drawer",), ("cabinet",)),
    "wooden_cabinet": Kind(("wooden cabinet", "cabinet"), ("black cabinet", "brown cabinet", "drawer"), ("cabinet",)),
    "yellow_cabinet": Kind(("yellow cabinet", "cabinet"), ("wooden cabinet", "drawer"), ("cabinet",)),
    "faucet": Kind(("faucet", "tap"), (), ("faucet",)),
    "simple_rack": Kind(("dish rack", "rack"), ("white rack",), ("dish rack", "rack")),
    "rs_can": Kind(("red can", "can", "soda can"), (), ("can",)),
    "rs_milk": Kind(("milk carton", "carton", "white carton", "milk"), ("box",), ("carton",)),
    "rs_bread": Kind(("bread", "bread loaf"), (), ("bread",)),
    "rs_lemon": Kind(("lemon", "yellow lemon"), (), ("lemon",)),
    "rs_bottle": Kind(("bottle", "green bottle"), (), ("bottle",)),
    "rs_cereal": _package("box", "cereal box", "cereal"),
    "apple": Kind(("apple",), (), ("apple",)),
    "banana": Kind(("banana", "yellow banana"), (), ("banana",)),
    "hammer": Kind(("hammer",), (), ("hammer",)),
    "laptop": Kind(("laptop",), (), ("laptop",)),
    "pen": Kind(("pen",), ("marker", "pencil"), ("pen",)),
    "cube": Kind(("cube", "block"), ("box",), ("cube", "block")),
    "ball": Kind(("ball",), ("sphere",), ("ball",)),
    "cylinder": Kind(("cylinder",), ("can", "block"), ("cylinder",)),
    "cone": Kind(("cone",), (), ("cone",)),
    "ring": Kind(("ring",), ("donut",), ("ring",)),
    "plain_box": Kind(("box",), ("block", "book"), ("box",)),
    "plain_mug": _mug(),
    "plain_cup": Kind(("cup",), ("bowl", "mug"), ("cup",)),
    "plain_bowl": Kind(("bowl",), (), ("bowl",)),
    "plain_plate": Kind(("plate",), ("dish",), ("plate",)),
    "plain_bottle": Kind(("bottle",), (), ("bottle",)),
    "plain_vase": Kind(("vase",), ("bottle",), ("vase",)),
}

PAINTED_COLORS: Final[dict[str, tuple[str, ...]]] = {
    "apple": ("red", "green", "yellow"),
    "banana": ("yellow",),
    "hammer": COLORS,
    "laptop": ("gray", "black", "white"),
}


@cache
def naming(key: str, color: str | None = None) -> Naming:
    """Phrases of a thing.

    Args:
        key: A key of `KINDS`.
        color: The color it was painted; None for its own look.
    """
    kind = KINDS[key]
    if color is None:
        names, unclear = kind.names, set(kind.unclear)
        if kind.any_color:
            unclear |= {f"{c} {noun}" for c in COLORS for noun in kind.nouns}
    else:
        names = (*(f"{color} {noun}" for noun in kind.nouns), *kind.nouns)
        unclear = {u for u in kind.unclear if u.split()[0] not in COLORS}
        unclear |= {f"{color} {u}" for u in unclear}
        # A painted bottle is still the shape of a wine bottle, a painted mug that of a cup.
        unclear |= {n for n in kind.names if n.split()[0] not in COLORS} - set(names)
    return Naming(tuple(dict.fromkeys(names)), frozenset(unclear - set(names)))


@cache
def vocabulary(paintable: frozenset[str]) -> tuple[str, ...]:
    """Every phrase that is right for something, sorted.

    Args:
        paintable: Keys that are painted in scenes.
    """
    phrases: set[str] = set()
    for key in KINDS:
        if key not in paintable or key not in PROCEDURAL:
            phrases |= set(naming(key).names)
        if key in paintable:
            for color in PAINTED_COLORS.get(key, COLORS):
                phrases |= set(naming(key, color).names)
    return tuple(sorted(phrases))


PROCEDURAL: Final = frozenset(
    (
        "apple banana hammer laptop pen cube ball cylinder cone ring plain_box plain_mug plain_cup "
        "plain_bowl plain_plate plain_bottle plain_vase"
    ).split()
)
PAINTABLE: Final = PROCEDURAL | frozenset(
    "porcelain_mug red_coffee_mug libero_mug white_bowl akita_black_bowl plate black_book wine_bottle "
    "rs_bottle rs_can white_storage_box".split()
)

_ARTICLE = re.compile(r"^(?:the|a|an|some|any)\s+", re.IGNORECASE)


def words(phrases: tuple[str, ...]) -> tuple[str, ...]:
    """Distinct words of some phrases, sorted."""
    return tuple(sorted({word for phrase in phrases for word in phrase.split()}))


def strip_article(phrase: str) -> str:
    """`the Black bowl ` -> `black bowl`."""
    return _ARTICLE.sub("", phrase.strip().lower())
