"""From the text of a formula to its terms; `formula.py` says what may stand there."""

import re
from itertools import product

from penchant.encoders.formula import (
    FUNCTIONS,
    LEVEL,
    NAME,
    Arithmetic,
    Call,
    Category,
    Column,
    Expression,
    Factor,
    Formula,
    Indicator,
    Number,
    Term,
    Threshold,
    closest,
    pointed,
)
from penchant.errors import ConfigError

_NUMBER = re.compile(r"(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_COMPARISON = re.compile(r"<=|>=|==|<|>|in\b")


def parse(text: str) -> Formula:
    """The formula that a text declares; an empty text has no terms.

    A term that is said twice (in whatever order of its factors) counts once, as in R.

    Raises:
        ConfigError: the text is not a formula; the message points at the place.
    """
    parser = _Parser(text)
    return Formula(parser.formula(), text)


class _Parser:
    """Recursive descent over the text; `at` is the place of the next unread character."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def fail(self, message: str, place: int | None = None) -> ConfigError:
        place = self.at if place is None else place
        return ConfigError(pointed(message, self.text, place))

    def skip(self) -> None:
        while self.at < len(self.text) and self.text[self.at].isspace():
            self.at += 1

    def ahead(self, symbol: str) -> bool:
        self.skip()
        return self.text.startswith(symbol, self.at)

    def take(self, symbol: str) -> bool:
        found = self.ahead(symbol)
        self.at += len(symbol) * found
        return found

    def match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        self.skip()
        found = pattern.match(self.text, self.at)
        if found:
            self.at = found.end()
        return found

    def expect(self, symbol: str, why: str) -> None:
        if not self.take(symbol):
            raise self.fail(f"the formula has {self.rest()} here; expected {symbol!r} {why}.")

    def rest(self) -> str:
        self.skip()
        return repr(self.text[self.at]) if self.at < len(self.text) else "its end"

    def formula(self) -> tuple[Term, ...]:
        self.skip()
        if self.at == len(self.text):
            return ()
        terms = self.sum()
        if self.ahead("-"):
            raise self.fail(
                "a formula takes no term away with '-'; leave the term out, or write "
                "I(a - b) for a difference of two columns."
            )
        self.skip()
        if self.at < len(self.text):
            raise self.fail(
                f"the formula has {self.rest()} here; expected '+' before a further term, ':' "
                "before a further factor, or the end. Names with blanks go in `backticks`."
            )
        distinct: dict[frozenset[str], Term] = {}
        for term in terms:
            distinct.setdefault(frozenset(map(str, term.factors)), term)
        return tuple(distinct.values())

    def sum(self) -> list[Term]:
        terms = self.product()
        while self.take("+"):
            terms += self.product()
        return terms

    def product(self) -> list[Term]:
        start = self.at
        terms = self.factors()
        while self.take(":"):
            start = self.at
            terms = [
                Term(left.factors + right.factors) for left, right in product(terms, self.factors())
            ]
            for term in terms:
                if len(set(map(str, term.factors))) < len(term.factors):
                    raise self.fail(
                        f"the term {term} has a factor twice; write I(x^2) for the square of x.",
                        start,
                    )
        return terms

    def factors(self) -> list[Term]:
        """One factor, or a bracket with the terms that it is short for."""
        self.skip()
        start = self.at
        if not self.take("("):
            factor = self.quotient(is_top=True)
            if isinstance(factor, Number):
                raise self.fail(
                    f"a constant ({factor}) is the same for every option and changes no choice; "
                    "write `option` for a constant of each option.",
                    start,
                )
            return [Term((factor,))]
        terms = self.sum()
        self.expect(")", "to close the bracket")
        if any(self.ahead(symbol) for symbol in "/*^"):
            raise self.fail(
                "a bracket around terms cannot be divided, multiplied or raised; write "
                "I(...) for arithmetic, as in I((a + b)/2)."
            )
        return terms

    def arithmetic(self) -> Expression:
        left = self.quotient()
        while self.ahead("+") or self.ahead("-"):
            operator = self.text[self.at]
            self.at += 1
            left = Arithmetic(operator, self.expression(left), self.expression(self.quotient()))
        return self.expression(left)

    def quotient(self, is_top: bool = False) -> Factor:
        left = self.power(is_top)
        while self.ahead("/") or self.ahead("*"):
            operator, place = self.text[self.at], self.at
            self.at += 1
            right = self.power(is_top)
            has_number = isinstance(left, Number) or isinstance(right, Number)
            if is_top and operator == "*" and not has_number:
                raise self.fail(
                    f"'*' between columns is ambiguous; write {left}:{right} for their product, "
                    f"or {left} + {right} + {left}:{right} for both and their product.",
                    place,
                )
            left = Arithmetic(operator, self.expression(left), self.expression(right))
        return left

    def power(self, is_top: bool) -> Factor:
        base = self.unary(is_top)
        if self.take("^") or self.take("**"):
            exponent = self.expression(self.unary(is_top=False))
            return Arithmetic("^", self.expression(base), exponent)
        return base

    def unary(self, is_top: bool) -> Factor:
        if not is_top and self.take("-"):
            inner = self.expression(self.unary(False))
            if isinstance(inner, Number):
                return Number(-inner.value)
            return Arithmetic("*", Number(-1.0), inner)
        return self.primary(is_top)

    def expression(self, factor: Factor) -> Expression:
        if isinstance(factor, Category):
            raise self.fail(f"{factor} stands for several columns and has no arithmetic.")
        return factor

    def primary(self, is_top: bool) -> Factor:
        if not is_top and self.take("("):
            inner = self.arithmetic()
            self.expect(")", "to close the bracket")
            return inner
        if number := self.match(_NUMBER):
            return Number(float(number[0]))
        column = self.column()
        quoted = self.text[column.place] == "`"
        if not quoted and self.take("("):
            return self.call(column)
        if self.take("["):
            levels = self.levels()
            if len(levels) != 1:
                raise self.fail(
                    f"{column}[...] takes one level; write when({column} in [...]) for several."
                )
            return Indicator(column, levels)
        return column

    def column(self) -> Column:
        self.skip()
        place = self.at
        if self.take("`"):
            end = self.text.find("`", self.at)
            if end <= self.at:
                raise self.fail("a name in backticks has no end, or is empty.", place)
            name, self.at = self.text[self.at : end], end + 1
            return Column(name, place)
        if found := self.match(NAME):
            return Column(found[0], place)
        raise self.fail(f"the formula has {self.rest()} here; expected a column or a function.")

    def call(self, name: Column) -> Factor:
        """What follows `name(`, up to the closing bracket."""
        if name.name == "C":
            return self.category()
        if name.name == "when":
            return self.condition()
        if name.name not in FUNCTIONS:
            raise self.fail(
                f"there is no function {name.name!r}. {closest(name.name, [*FUNCTIONS, 'C'])}",
                name.place,
            )
        arguments: list[Expression] = []
        while not self.ahead(")"):
            if arguments:
                self.expect(",", "or ')' after an argument")
            arguments.append(self.arithmetic())
        self.expect(")", "to close the call")
        if len(arguments) != FUNCTIONS[name.name]:
            raise self.fail(
                f"{name.name}() got {len(arguments)} arguments; expected {FUNCTIONS[name.name]}.",
                name.place,
            )
        return Call(name.name, tuple(arguments), name.place)

    def category(self) -> Category:
        column, reference = self.column(), None
        if self.take(","):
            word = self.column()
            if word.name != "reference":
                raise self.fail(f"C() has no option {word.name!r}; 'reference' it has.", word.place)
            self.expect("=", "and the level, as in C(purpose, reference=leisure)")
            reference = self.level()
        self.expect(")", "to close C(...)")
        return Category(column, reference)

    def condition(self) -> Indicator | Threshold:
        column = self.column()
        self.skip()
        place = self.at
        operator = self.match(_COMPARISON)
        if not operator:
            raise self.fail(
                f"when() got {self.rest()} after {column}; expected `in [levels]`, `== level`, or "
                "one of < <= > >= and a number."
            )
        condition: Indicator | Threshold
        if operator[0] == "in":
            self.expect("[", "and the levels, as in when(purpose in [leisure, shopping])")
            condition = Indicator(column, self.levels())
        elif operator[0] == "==":
            condition = Indicator(column, (self.level(),))
        else:
            sign = -1.0 if self.take("-") else 1.0
            number = self.match(_NUMBER)
            if not number:
                raise self.fail(f"{operator[0]} compares with a number; got {self.rest()}.", place)
            condition = Threshold(column, operator[0], sign * float(number[0]))
        self.expect(")", "to close when(...)")
        return condition

    def levels(self) -> tuple[str, ...]:
        found = [self.level()]
        while self.take(","):
            found.append(self.level())
        self.expect("]", "to close the levels")
        return tuple(found)

    def level(self) -> str:
        found = self.match(LEVEL)
        if not found:
            raise self.fail(
                f"the formula has {self.rest()} here; expected a level. Levels with commas, "
                "quotes or brackets go in 'quotes'."
            )
        if found[1] is not None:
            return found[1].replace("''", "'")
        return found[2] if found[2] is not None else found[3].strip()
