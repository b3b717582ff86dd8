"""Closed word classes of English that commands are built from.

Nothing here lists things: nouns are an open class, and whatever is in none of these sets is one.
Spelling is American; ``SPELLING`` maps the rest to it.
"""

from __future__ import annotations

from typing import Final


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


ARTICLES: Final = _words("the a an")
DEMONSTRATIVES: Final = _words("this that these those")
POSSESSIVES: Final = _words("my your his her its our their")
INDEFINITE: Final = _words("a an any some another either")
VAGUE_PLURAL: Final = _words("several many multiple various few")
NUMBERS: Final[dict[str, int]] = {
    "zero": 0, "no": 0, "one": 1, "two": 2, "both": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "dozen": 12,
    "eight": 8, "nine": 9, "ten": 10, "eleven": 11, "twelve": 12,
}  # fmt: skip
BOUNDS: Final[dict[str, tuple[int | None, int | None]]] = {
    "at least": (0, None), "no fewer than": (0, None), "no less than": (0, None), "not fewer than": (0, None), "not less than": (0, None),
    "minimum of": (0, None), "more than": (1, None), "at most": (None, 0), "no more than": (None, 0), "not more than": (None, 0),
    "up to": (None, 0), "maximum of": (None, 0), "fewer than": (None, -1), "less than": (None, -1), "exactly": (0, 0), "only": (0, 0),
    "just": (0, 0), "precisely": (0, 0),
}  # fmt: skip
"""Before a number: the fewest and the most that are meant, as added to it (None: no bound)."""
BOUNDING: Final = frozenset(f"{text.replace(' ', '-')}-number" for text in BOUNDS)
"""The same as one word each, which is what the grammar reads (see ``rewrites``)."""
ORDINALS: Final[dict[str, int]] = {
    "first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8,
    "ninth": 9, "tenth": 10, "1st": 1, "2nd": 2, "3rd": 3, "4th": 4, "5th": 5, "6th": 6, "7th": 7, "8th": 8,
    "9th": 9, "10th": 10, "last": -1, "final": -1, "penultimate": -2,
}  # fmt: skip

COLORS: Final = _words(
    "red green blue yellow orange purple violet pink brown black white gray beige tan teal turquoise cyan magenta "
    "maroon crimson scarlet indigo lavender navy gold golden silver ivory khaki burgundy multicolored colorful off-white cream-colored"
)
COLOR_MODIFIERS: Final = _words("dark light bright pale deep vivid pastel neon")
SIZES: Final = _words(
    "big large huge giant enormous small little tiny mini miniature tall short long wide broad narrow thin slim thick "
    "medium medium-sized fat"
)
MATERIALS: Final = _words(
    "wooden wood metal metallic plastic glass ceramic porcelain paper cardboard leather rubber steel stainless stone "
    "marble wicker cloth fabric bamboo clay silicone aluminum iron copper brass bronze cotton woolen woven enamel"
)
SHAPES: Final = _words(
    "round circular square rectangular oval flat cylindrical spherical triangular hexagonal conical cubic curved "
    "rounded boxy pointed pointy"
)
STATES: Final = _words(
    "open opened closed shut full empty filled broken clean dirty wet dry folded upright lit unlit ripe cooked sliced "
    "toppled tipped fallen tilted overturned half-full half-empty unopened burning"
)
LOOKS: Final = _words(
    "striped spotted dotted checkered plaid transparent translucent clear shiny glossy matte patterned floral plain "
    "dark bright fluffy rusty reflective labeled"
)
# Adjectives that are nouns when nothing follows them ("the glass", "the orange").
NOUN_TOO: Final = _words(
    "orange glass wood paper rubber iron plastic metal cloth stone cardboard square gold silver lavender leather fabric "
    "clay steel cotton copper round open"
)
# Color or state words that belong to the noun they stand before.
FIXED_PAIRS: Final = frozenset(
    tuple(pair.split())
    for pair in (
        "orange juice,orange soda,orange peel,red wine,white wine,black pepper,green tea,black tea,brown sugar,red bull,"
        "blue cheese,green onion,red onion,green bean,green beans,black bean,black beans,brown rice,white rice,"
        "white board,black board,white chocolate,dark chocolate,dry erase,light bulb,light switch,wet wipe,wet wipes,"
        "long john,flat screen,flat iron,short cake,round table,square dance,open sign,big mac"
    ).split(",")
    if pair not in {"round table", "square dance"}
)
BINOMIALS: Final = frozenset(
    tuple(pair.split())
    for pair in (
        "salt pepper,macaroni cheese,mac cheese,bread butter,butter jelly,fish chips,ham cheese,cookies cream,"
        "sweet sour,mortar pestle,cup saucer,dustpan brush,rice beans,oil vinegar,nut bolt,nuts bolts,bacon egg,"
        "bacon eggs,washer dryer,lock key,ball chain,cut paste,arts crafts,black decker"
    ).split(",")
)

POSITIONS: Final[dict[str, str]] = {
    "left": "left", "right": "right", "middle": "middle", "center": "middle", "central": "middle", "mid": "middle",
    "front": "front", "back": "back", "rear": "back", "top": "high", "upper": "high", "bottom": "low", "lower": "low",
}  # fmt: skip
SUPERLATIVES: Final[dict[str, str]] = {
    "leftmost": "left", "rightmost": "right", "nearest": "near", "closest": "near", "farthest": "far",
    "furthest": "far", "largest": "large", "biggest": "large", "greatest": "large", "smallest": "small",
    "tiniest": "small", "littlest": "small", "tallest": "tall", "shortest": "short", "longest": "long",
    "widest": "wide", "broadest": "wide", "narrowest": "narrow", "thinnest": "thin", "slimmest": "thin",
    "thickest": "thick", "fattest": "thick", "highest": "high", "topmost": "high", "uppermost": "high",
    "lowest": "low", "bottommost": "low", "lowermost": "low", "frontmost": "front", "foremost": "front",
    "darkest": "dark", "brightest": "bright", "rearmost": "back", "backmost": "back", "hindmost": "back", "middlemost": "middle", "centermost": "middle",
}  # fmt: skip
COMPARATIVES: Final[dict[str, str]] = {
    "nearer": "near", "closer": "near", "farther": "far", "further": "far", "larger": "large", "bigger": "large",
    "greater": "large", "smaller": "small", "tinier": "small", "taller": "tall", "shorter": "short",
    "longer": "long", "wider": "wide", "broader": "wide", "narrower": "narrow", "thinner": "thin",
    "slimmer": "thin", "thicker": "thick", "fatter": "thick", "higher": "high", "darker": "dark", "brighter": "bright",
}  # fmt: skip
# What no camera sees: a comparison by it cannot be judged.
UNSEEN: Final = _words(
    "heaviest lightest heavier hottest coldest warmest oldest newest cheapest freshest softest hardest best worst strongest weakest "
    "sweetest dirtiest cleanest fullest emptiest older newer cheaper hotter colder softer harder better worse"
)

BE: Final = _words("is are was were be being been")
STANDS: Final = _words(
    "sits stands lies rests hangs sit stand lie rest hang leans lean appears stays remains seems looks sat stood"
)
POSTURES: Final = _words(
    "standing sitting lying laying placed located situated resting positioned kept found seated mounted stored stacked "
    "arranged hidden stuck inserted sticking hung pinned taped glued attached mounted perched balanced floating "
    "flying leant parked plugged hooked tucked wedged leaned scattered spread stored hanging left currently visible also only "
    "available set lain lined"
)
INTENSIFIERS: Final = _words(
    "just directly immediately right exactly straight very somewhere all quite really way mostly halfway slightly diagonally partly "
    "partially almost"
)
RELATIVES: Final = _words("that which who what whose")
GENERIC_NOUNS: Final = _words("thing things object objects item items one ones something anything everything stuff")
OBJECT_PRONOUNS: Final = _words("it them they itself themselves")
VIEWER: Final = _words("me you us myself yourself i we camera robot viewer observer")
# Nouns for the scene itself, which no detector reports as an object.
SCENE_NOUNS: Final = _words("image pic picture photo scene view frame screen workspace room camera here there")
SURFACE_NOUNS: Final = _words(
    "table tabletop desk desktop counter countertop floor ground workbench bench workspace surface"
)
# What has a left and a right part of its own, on which things stand; of other things the left side is beside them.
SIDED_NOUNS: Final = SURFACE_NOUNS | _words("shelf tray rack stove sofa couch bed sink mat board drawer cabinet")
CLOTHES: Final = _words(
    "shirt t-shirt tshirt jacket coat hat cap dress suit pants jeans shorts skirt sweater hoodie vest uniform helmet glasses gloves boots "
    "shoes apron tie scarf blouse sweatshirt jersey overalls trousers costume gown robe sunglasses tank top"
)
PEOPLE: Final = _words(
    "man men woman women person people guy guys girl girls boy boys lady ladies kid kids child children player players batter "
    "gentleman dude baby toddler worker workers human"
)
PARTS: Final = _words(
    "drawer door handle lid compartment side leg edge corner part half section layer burner knob button top bottom front "
    "back rim spout cap neck tier level rack slot end tip base face surface center middle interior inside shelf hinge arm"
)
VAGUE_TAILS: Final = _words("please now here there again away back up down too instead first then okay ok thanks over")

SPELLING: Final[dict[str, str]] = {
    "colour": "color", "coloured": "colored", "colours": "colors", "grey": "gray", "centre": "center",
    "centres": "centers", "multicoloured": "multicolored", "multi-coloured": "multicolored",
    "multi-colored": "multicolored", "colourful": "colorful", "aluminium": "aluminum", "labelled": "labeled",
    "metre": "meter", "moulded": "molded", "recognise": "recognize", "grey-colored": "gray", "chequered": "checkered",
    "leftermost": "leftmost", "rightermost": "rightmost", "woollen": "woolen", "wooded": "wooden",
    "towards": "toward", "anyone": "anyone", "furtherest": "furthest", "fartherest": "farthest", "wood-colored": "wooden",
    "nearby": "near", "u": "you", "thru": "through", "medium-size": "medium", "medium-sized": "medium", "middle-sized": "medium", "mid-sized": "medium",
    "full-size": "large", "left-hand": "left", "right-hand": "right", "lefthand": "left", "righthand": "right",
    "left-most": "leftmost", "right-most": "rightmost", "top-most": "topmost", "bottom-most": "bottommost",
    "front-most": "frontmost", "back-most": "backmost", "upside-down": "overturned", "2": "two", "3": "three",
    "4": "four", "5": "five", "6": "six", "7": "seven", "8": "eight", "9": "nine", "10": "ten", "1": "one",
    "left-side": "left", "right-side": "right", "&": "and", "+": "and",
}  # fmt: skip
SPLIT: Final[dict[str, str]] = {
    "infront": "in front", "ontop": "on top", "inbetween": "in between", "nextto": "next to", "nexto": "next to", "leftof": "left of",
    "rightof": "right of", "alot": "a lot", "pickup": "pick up", "isn't": "is not", "aren't": "are not",
    "isnt": "is not", "arent": "are not", "doesn't": "does not", "doesnt": "does not", "don't": "do not",
    "dont": "do not", "wasn't": "was not", "weren't": "were not", "can't": "can not", "cannot": "can not",
    "what's": "what is", "whats": "what is", "where's": "where is", "wheres": "where is", "that's": "that is",
    "thats": "that is", "there's": "there is", "theres": "there is", "it's": "it is", "who's": "who is",
    "which's": "which is", "here's": "here is", "they're": "they are", "there're": "there are", "i'd": "i would",
    "i'm": "i am", "let's": "let us", "lets": "let us", "what're": "what are", "where're": "where are",
    "who're": "who are", "i'll": "i will", "you're": "you are", "haven't": "have not", "hasn't": "has not",
    "gimme": "give me", "wanna": "want to", "and/or": "or", "pls": "please", "plz": "please", "where'd": "where did",
    "whatre": "what are", "everything's": "everything is",
}  # fmt: skip
TYPOS: Final[dict[str, str]] = {
    "teh": "the", "hte": "the", "th": "the", "tthe": "the", "thee": "the", "teh.": "the", "te": "the", "ot": "to",
    "fo": "of", "adn": "and", "nad": "and", "annd": "and", "ad": "and", "letf": "left", "lfet": "left", "elft": "left",
    "leff": "left", "rihgt": "right", "rigth": "right", "rght": "right", "righ": "right", "riht": "right",
    "frmo": "from", "form": "from", "nex": "next", "nxet": "next", "netx": "next", "nxt": "next", "tot": "to",
    "besid": "beside", "neer": "near", "naer": "near", "nera": "near", "udner": "under", "undr": "under",
    "uner": "under", "abvoe": "above", "abov": "above", "belwo": "below", "blow": "below", "wich": "which",
    "whcih": "which", "taht": "that", "tha": "the", "thta": "that", "si": "is", "noe": "one", "oen": "one",
    "secnd": "second", "sceond": "second", "thrid": "third", "frist": "first", "mst": "most", "ons": "ones",
    "btween": "between", "btwn": "between", "fron": "front", "fornt": "front", "baskt": "basket", "plese": "please",
    "pleas": "please", "hwo": "how", "mnay": "many", "manny": "many", "wehre": "where", "whre": "where", "wher": "where",
    "thier": "their", "tje": "the", "rhe": "the", "ont": "on", "int": "in", "onn": "on", "inn": "in",
    "form.": "from", "excpet": "except", "execpt": "except", "middel": "middle", "midle": "middle", "al": "all",
    "pik": "pick", "pcik": "pick", "picck": "pick", "pikc": "pick", "pck": "pick", "grabb": "grab", "grba": "grab",
    "opne": "open", "oepn": "open", "plcae": "place", "palce": "place", "plase": "please", "fidn": "find",
    "finnd": "find", "fnd": "find", "mvoe": "move", "clsoe": "close", "waht": "what", "wht": "what", "frm": "from",
    "fom": "from", "lef": "left", "leftt": "left", "lft": "left", "rigt": "right", "mny": "many", "ther": "there",
    "bhind": "behind", "bside": "beside", "puth": "put", "ptu": "put", "tkae": "take", "taek": "take",
    "givve": "give", "bohtt": "both", "bohth": "both", "boht": "both", "leftmsot": "leftmost",
}  # fmt: skip
for _noun in ("form", "blow", "inn", "ad", "tot", "si", "te", "al", "ot"):
    TYPOS.pop(_noun)

PREPOSITIONS: Final = frozenset(
    "in on at by of to from with without under underneath beneath below above over behind beside besides between near "
    "next against around inside within into onto upon atop among amongst amid off out through across along toward "
    "alongside adjacent beyond before after about like than as per via except nearby".split()
)
STOPS: Final = (
    PREPOSITIONS
    | BOUNDING
    | ARTICLES
    | DEMONSTRATIVES
    | BE
    | RELATIVES
    | OBJECT_PRONOUNS
    | POSSESSIVES
    | INDEFINITE
    | {"and", "or", "then", "but", "not", "while", "so", "me", "you", "us", "i", "we", "he", "she", "does", "do", "did"}
    | {
        "has",
        "have",
        "had",
        "there",
        "here",
        "please",
        "both",
        "when",
        "where",
        "if",
        "whether",
        "because",
        "who",
        "'s",
    }
    | {
        "sits",
        "stands",
        "lies",
        "rests",
        "leans",
        "appears",
        "stays",
        "remains",
        "seems",
        "looks",
        "hangs",
        "holds",
        "carries",
        "excluding",
        "neither",
        "nor",
        "say",
        "says",
        "mean",
    }
    | {",", ";", ".", "?", "!", ":", "&", "+", "such", "should", "would", "could", "will", "must", "also", "let", "how"}
)
"""Words that no noun phrase runs across."""


def is_content(word: str) -> bool:
    """Whether a word may be part of an open-class noun."""
    return bool(word) and word not in STOPS
