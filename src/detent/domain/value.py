"""Frozen values that cost little to define.

``import dataclasses`` and eight classes take as long as starting Python itself, and a command such
as ``detent status`` has to answer within four times that. `value` makes a class that behaves as
``@dataclass(frozen=True, slots=True, kw_only=True)`` does, without generating code; whoever asks
for its ``__dataclass_fields__`` (msgspec, `dataclasses.asdict`) gets real ones, made at that
moment. Classes that a quick command does not meet are plain dataclasses.
"""

from typing import Any, NoReturn, TypeVar, cast, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, kw_only_default=True)
def value(cls: type[T]) -> type[T]:
    """Make a class whose annotations are its fields: frozen, with slots, keywords only.

    Fields compare, except those named in the class's ``_not_compared``.

    Examples
    --------
    >>> @value
    ... class Point:
    ...     x: int
    ...     y: int = 0
    >>> Point(x=1) == Point(x=1, y=0), hash(Point(x=1)) == hash(Point(x=1))
    (True, True)
    >>> Point(x=1)
    Point(x=1, y=0)
    """
    names = tuple(cls.__annotations__)
    body = dict(cls.__dict__)
    defaults = {name: body.pop(name) for name in names if name in body}
    body.pop("__dict__", None)
    body.pop("__weakref__", None)
    compared = tuple(name for name in names if name not in body.get("_not_compared", ()))

    def initialise(self: Any, **given: Any) -> None:
        fields = defaults | given
        try:
            for name, store in setters:
                store(self, fields[name])
        except KeyError as missing:
            raise TypeError(f"{cls.__name__} needs `{missing.args[0]}`") from None
        if len(fields) != len(names):
            raise TypeError(f"{cls.__name__} has no {', '.join(fields.keys() - set(names))}")

    def key(self: Any) -> tuple[Any, ...]:
        return tuple([getattr(self, name) for name in compared])

    def equals(self: Any, other: object) -> Any:
        return key(self) == key(other) if type(other) is type(self) else NotImplemented

    def represent(self: Any) -> str:
        fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{cls.__name__}({fields})"

    def refuse(self: Any, name: str, *_: object) -> NoReturn:
        raise AttributeError(f"{cls.__name__} is frozen: `{name}` cannot be changed")

    def reduce(self: Any) -> tuple[Any, ...]:
        return _rebuild, (type(self), {name: getattr(self, name) for name in names})

    methods = {
        "__init__": initialise,
        "__eq__": equals,
        "__hash__": lambda self: hash(key(self)),
        "__setattr__": refuse,
        "__delattr__": refuse,
        "__reduce__": reduce,
        "__dataclass_fields__": _Fields(names, defaults),
        "__slots__": names,
    }
    made: Any = type(cls.__name__, cls.__bases__, {"__repr__": represent} | body | methods)
    setters = [(name, made.__dict__[name].__set__) for name in names]
    return cast(type[T], made)


def replace(old: T, **changes: Any) -> T:
    """Return a value with some fields changed."""
    kept = {name: getattr(old, name) for name in type(old).__slots__}  # type: ignore[attr-defined]  # every value has them
    return type(old)(**(kept | changes))


def _rebuild(cls: type[T], fields: dict[str, Any]) -> T:
    return cls(**fields)


class _Fields:
    """Gives a class's fields as those of a dataclass, when they are asked for."""

    def __init__(self, names: tuple[str, ...], defaults: dict[str, Any]) -> None:
        self._names = names
        self._defaults = defaults

    def __get__(self, _: object, owner: type) -> dict[str, Any]:
        import dataclasses
        from typing import get_type_hints

        hints = get_type_hints(owner)
        fields: list[Any] = [
            (name, hints[name], dataclasses.field(default=self._defaults[name]))
            if name in self._defaults
            else (name, hints[name])
            for name in self._names
        ]
        twin = dataclasses.make_dataclass(owner.__name__, fields, frozen=True, kw_only=True)
        made: dict[str, Any] = twin.__dataclass_fields__  # type: ignore[attr-defined]  # a dataclass has them
        type.__setattr__(owner, "__dataclass_fields__", made)
        return made
