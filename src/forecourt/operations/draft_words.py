"""Names for people and for OData out of SQL names, for :mod:`forecourt.operations.draft`.

A SQL name may be anything: ``salesorderheader``, ``SalesOrderHeader``, ``SALES_ORDER_HEADER``, ``2nd "address"``,
``größe``. It is split to words (at marks, at changes of case, and lower-case runs by a small vocabulary of the field);
from the words come a label, which keeps the letters as they are, and a name of ASCII letters and digits, which is all
that an OData URL takes. A letter without an ASCII form becomes its code point.

Plural and singular are those of English, for the last word of a name. Leaves out every other language: a name that no
rule knows gets an ``s`` where its last word is of ASCII letters, and stays as it is elsewhere.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable

#: Longest names: with the prefixes and suffixes that virtual tables add they stay within 63 characters, beyond which
#: PostgreSQL cuts the name of a column in an answer.
LONGEST_FIELD, LONGEST_ENTITY = 50, 40

#: Words that lower-case runs are split into: ``salesorderheader`` is sales, order, header.
_KNOWN = """
    account accounting action active activity actor actual additional address addresses adjustment agreement aid airport
    album amount amt android annual application approval approved archive area article artist assembly asset assignment
    attachment attribute audit author average avoid balance bank bar barcode base basis batch begin bid bill billing
    birth blob body bom bonus book booking branch brand budget business buyer by calendar call campaign candidate card
    carrier cart case cash catalog category cause cell center change channel charge check cheque city claim class client
    close closed code color column comment commission company component condition confirmed contact content contract
    conversion cost count country course created credit culture currency current cust customer cycle data database date
    day days default delivery demographic department deposit depth desc description desk destination detail device
    dimension direction disc discontinued discount dish display district doctor document domain driver due duration
    email employee employment end ended entity entry error event exam exchange exp expense expiration expiry extension
    external extra failed failure family fax fee field file filename film final finish finished first fixed flag flight
    fluid folder follow format forum freight frequency friend from full gender general genre geo gift given global goods
    grade grand grid gross group guest guid hash head header height hire history holder holiday home host hotel hour hrs
    html hybrid icon id identifier illustration image import income index indicator industry info ingredient initial
    input inquiry insert instance instruction instrument insurance interest internal invalid invent inventory invoice is
    iso issue item job journal json key kind label language large last lead lease leave ledger length lesson level
    license like limit line link liquid list listed loan local location log login lot mail main make manager manufacture
    manufacturer margin marital mark market master match material max maximum measure media member memo menu message
    meta meter method mid middle milestone min minimum mobile mode model modified module month movement name national
    net next no node note number nurse object of offer office on online only open operation operator opportunity option
    order ordered organization origin other out owner package page paid parent part partner party passenger password
    path patient pay payment pct pending per percent performance period person personal phone photo physical pick
    picture place plan planned plant plate playlist point policy port position post postal pre preferred prefix prepaid
    previous price pricing primary priority probability problem process product production profile profit program
    progress project promotion property provider province public publisher purch purchase purchasing qty quality
    quantity quarter question quota quote range rank rapid rate rating read reading reason receipt received recipe
    record reference region register rejected related relation release reminder rent rental reorder report request
    required reservation resource response result resume return returned revenue review reviewer revision role room
    route routing row safety salaried salary sale salt same sample scale schedule scheduled score scrap scrapped season
    seat second section segment sell seller sensor sent sequence serial server service session setting shelf shift ship
    shipment shipped shipper shipping shop shopping short sick signature site size sku small solid source spatial
    special staff stage standard start started state statement status step stock stocked stop store street student style
    sub subcategory subject subscription subtotal suffix sum summary supplier supply support survey system table tag
    target tariff task tax teacher team telephone template tenant term territory text thread thumbnail ticket till time
    timestamp title to total track tracking trade trans transaction transfer transport travel truck type unit unpaid
    update updated upload url usage use user uuid vacation valid value variant vat vehicle vend vendor verification
    version video view visit void volume voucher wage ward warehouse warning web website week weekly weight width work
    worker workflow xml year yield ytd zip zone
"""
_VOCABULARY = frozenset(_KNOWN.split())

#: Words that end a column's name when it refers to something: a relation is named without them.
REFERENCE_WORDS = frozenset({"id", "key", "code", "no", "nr", "num", "number", "ref", "fk", "pk", "guid", "uuid"})

#: Letters without a decomposition to ASCII.
_PAIRS = """
ß=ss æ=ae œ=oe ø=o ł=l đ=d ð=d þ=th ı=i ŋ=ng ĸ=k ħ=h ŧ=t
а=a б=b в=v г=g д=d е=e ё=e ж=zh з=z и=i й=i к=k л=l м=m н=n о=o п=p р=r с=s т=t у=u ф=f х=kh ц=ts ч=ch ш=sh щ=shch ъ=
ы=y ь= э=e ю=yu я=ya
α=a β=b γ=g δ=d ε=e ζ=z η=i θ=th ι=i κ=k λ=l μ=m ν=n ξ=x ο=o π=p ρ=r σ=s ς=s τ=t υ=y φ=f χ=ch ψ=ps ω=o
"""
_LETTERS = {pair[0]: pair[2:] for pair in _PAIRS.split()}

_RUN = re.compile(r"[^\W_]+")

_IRREGULAR = {
    "person": "people",
    "child": "children",
    "man": "men",
    "woman": "women",
    "foot": "feet",
    "tooth": "teeth",
    "goose": "geese",
    "mouse": "mice",
    "criterion": "criteria",
    "phenomenon": "phenomena",
    "medium": "media",
    "datum": "data",
    "leaf": "leaves",
    "shelf": "shelves",
    "half": "halves",
    "life": "lives",
    "wife": "wives",
    "knife": "knives",
    "loaf": "loaves",
    "thief": "thieves",
    "wolf": "wolves",
    "matrix": "matrices",
    "vertex": "vertices",
    "appendix": "appendices",
    "hero": "heroes",
    "potato": "potatoes",
    "tomato": "tomatoes",
    "echo": "echoes",
    "cargo": "cargoes",
    "veto": "vetoes",
    "embargo": "embargoes",
    "quiz": "quizzes",
    "ox": "oxen",
    "lens": "lenses",
    "gas": "gases",
    "bus": "buses",
    "alias": "aliases",
    "bias": "biases",
    "canvas": "canvases",
    "atlas": "atlases",
    "axis": "axes",
    "movie": "movies",
    "cookie": "cookies",
    "tie": "ties",
    "pie": "pies",
    "die": "dice",
    "shoe": "shoes",
    "toe": "toes",
    "canoe": "canoes",
    "cache": "caches",
    "axe": "axes",
    "ache": "aches",
    "niche": "niches",
}
_NOT_MEN = frozenset({"human", "german", "roman", "talisman", "specimen", "regimen", "abdomen", "acumen"})
_SINGULAR = {many: one for one, many in _IRREGULAR.items() if one != "axe"} | {
    "persons": "person",
    "indices": "index",
    "datas": "data",
}

#: Words that are their own plural, or have none.
_SAME = """
    advice aircraft analytics baggage cash data deer economics electronics equipment feedback fish furniture
    goods hardware headquarters information knowledge logistics luggage machinery mail media merchandise metadata money
    moose news offspring payroll personnel physics research rice salmon series sheep software species staff statistics
    stuff traffic trivia weather
"""
_UNCOUNTED = frozenset(_SAME.split())


def words(text: str, learned: Collection[str] = ()) -> tuple[str, ...]:
    """The words of a SQL name, in lower case. ``learned``: words beside those of the vocabulary.

    >>> words("SalesOrderHeader"), words("salesorderheader"), words("SHIP_TO id")
    (('sales', 'order', 'header'), ('sales', 'order', 'header'), ('ship', 'to', 'id'))
    >>> words("customerID"), words("Größe (cm)"), words("2ndAddress")
    (('customer', 'id'), ('größe', 'cm'), ('2nd', 'address'))
    """
    found: list[str] = []
    for run in _RUN.findall(unicodedata.normalize("NFKC", text)):
        for part in _humps(run):
            found.extend(_segments(part.lower(), learned))
    return tuple(found)


def _humps(run: str) -> Iterable[str]:
    """``purchaseOrderURLText`` -> purchase, Order, URL, Text."""
    start = 0
    for at in range(1, len(run)):
        before, here, after = run[at - 1], run[at], run[at + 1 : at + 2]
        if here.isupper() and (not before.isupper() or after.islower()):
            yield run[start:at]
            start = at
    yield run[start:]


def _segments(run: str, learned: Collection[str]) -> tuple[str, ...]:
    """A run of letters as the fewest known words that make it up, or the run itself."""
    letters = run.rstrip("0123456789")
    if letters != run and letters.isalpha():
        parts = _segments(letters, learned)
        return (*parts[:-1], parts[-1] + run[len(letters) :])
    if len(run) < 4 or _known(run):
        return (run,)
    best: list[tuple[str, ...] | None] = [(), *([None] * len(run))]
    for end in range(1, len(run) + 1):
        for start in range(max(0, end - 20), end):
            before, word = best[start], run[start:end]
            known = _known(word) or (len(word) > 3 and word in learned)
            if before is not None and known and (best[end] is None or len(before) + 1 < len(best[end] or ())):
                best[end] = (*before, word)
    whole = best[-1]
    if whole is not None:
        return whole
    return (run[:-2], "id") if run.endswith("id") and len(run) > 4 else (run,)


def _known(word: str) -> bool:
    return word in _VOCABULARY or (len(word) > 4 and word[-1] == "s" and word[:-1] in _VOCABULARY)


def vocabulary(names: Iterable[str]) -> frozenset[str]:
    """Words that a database teaches: names of tables that the vocabulary cannot split."""
    return frozenset(name.lower() for name in names if name.isalpha() and len(words(name)) == 1)


def ascii_name(parts: Iterable[str], longest: int, otherwise: str) -> str:
    """Words as one name of ASCII letters and digits. ``otherwise``: what to begin with where no letter would begin it.

    >>> ascii_name(["größe", "id"], 50, "Field"), ascii_name(["2nd"], 50, "Field"), ascii_name(["客"], 50, "Field")
    ('GrosseId', 'Field2nd', 'U5BA2')
    """
    name = "".join(part[:1].upper() + part[1:] for part in map(_ascii, parts))
    if not name[:1].isalpha():
        name = otherwise + name
    return name[:longest]


def _ascii(word: str) -> str:
    found = []
    for sign in word:
        plain = _LETTERS.get(sign)
        if plain is None:
            bare = "".join(c for c in unicodedata.normalize("NFKD", sign) if not unicodedata.combining(c))
            plain = _LETTERS.get(bare, bare)
            if plain and not (plain.isascii() and plain.isalnum()):
                plain = f"U{ord(sign):04X}"
        found.append(plain)
    return "".join(found)


def label(parts: Iterable[str], otherwise: str) -> str:
    """Words as a label: ``Sales order header``."""
    text = " ".join(parts)
    return text[:1].upper() + text[1:] if text else otherwise


def plural(word: str) -> str:
    """The plural of an English noun; of what is a plural already or no English word, itself.

    >>> [plural(w) for w in ("order", "company", "address", "status", "tax", "day", "person", "analysis", "news")]
    ['orders', 'companies', 'addresses', 'statuses', 'taxes', 'days', 'people', 'analyses', 'news']
    """
    english = word.isascii() and word.isalpha()
    if not english or word in _UNCOUNTED or word in _SINGULAR:
        return word
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if singular(word) != word:
        return word
    if word.endswith("man") and word not in _NOT_MEN:
        return word[:-2] + "en"
    if word.endswith("sis") or word == "thesis":
        return word[:-2] + "es"
    if word.endswith("y") and word[-2:-1] not in tuple("aeiou"):
        return word[:-1] + "ies"
    if word.endswith(("s", "x", "z", "ch", "sh")):
        return word + "es"
    return word + "s"


def singular(word: str) -> str:
    """The singular of an English noun; of one that is no plural, itself.

    >>> [singular(w) for w in ("orders", "companies", "addresses", "statuses", "boxes", "houses", "bus", "people")]
    ['order', 'company', 'address', 'status', 'box', 'house', 'bus', 'person']
    """
    if word in _UNCOUNTED or word in _IRREGULAR or len(word) < 3:
        return word
    if word in _SINGULAR:
        return _SINGULAR[word]
    if word.endswith("men") and len(word) > 5 and word not in _NOT_MEN:
        return word[:-2] + "an"
    if word.endswith(("ss", "us", "is")) or not word.endswith("s"):
        return word
    if word.endswith("ies"):
        return word[:-3] + "y" if len(word) > 4 else word[:-1]
    if word.endswith(("analyses", "theses", "synopses", "crises", "diagnoses", "hypotheses")):
        return word[:-2] + "is"
    if word.endswith(("sses", "xes", "ches", "shes", "zzes", "uses")):
        return word[:-1] if word.endswith(("auses", "ouses")) or word == "uses" else word[:-2]
    return word[:-1]


class Names:
    """Gives out names that are unique without regard to case."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = {name.lower() for name in taken}

    def free(self, name: str) -> bool:
        return name.lower() not in self._taken

    def claim(self, *candidates: str, longest: int = LONGEST_FIELD) -> str:
        """The first free candidate, else the last one with the lowest free number from 2 on."""
        name = next(filter(self.free, candidates), None)
        number = 2
        while name is None:
            numbered = f"{candidates[-1][: longest - len(str(number))]}{number}"
            name, number = (numbered if self.free(numbered) else None), number + 1
        self._taken.add(name.lower())
        return name
