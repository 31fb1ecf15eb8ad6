"""Reads from the code what docs/reference.md documents, as facts that code can depend on.

The code is not imported, so this needs no Airflow.
"""

from __future__ import annotations

import ast
import re
import runpy
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import griffe

PACKAGE = "airflow_provider_datalore"
REFERENCE = "docs/reference.md"
FOR_PEOPLE = (
    *("cli", "description", "external-doc-url", "how-to-guide", "label", "logo", "placeholders", "relabeling"),
    *("schema", "tags"),
)
"""Keys of the provider info whose values are only for users, for the connection form, or for Airflow's command line."""
ARGUMENT_KINDS = {
    griffe.ParameterKind.positional_only: "by position only",
    griffe.ParameterKind.keyword_only: "by name only",
    griffe.ParameterKind.var_positional: "any number",
    griffe.ParameterKind.var_keyword: "any name",
}
METHOD_KINDS = {"async": "async", "classmethod": "class", "staticmethod": "static"}


class Fact(NamedTuple):
    """What is true of a public name.

    :param value: what code can depend on: a kind, a default, a base class.
    :param annotation: its type; the changelog does not have to name a change of only this.
    """

    value: str
    annotation: str = ""

    def __str__(self) -> str:
        return f"{self.value}  # {self.annotation}" if self.annotation else self.value


Facts = Mapping[str, Fact]


class CannotTellError(Exception):
    """Something is not written in a way that this module can read."""


@dataclass
class Directive:
    """An autodoc directive of docs/reference.md, with the options that docs/conf.py sets by default."""

    kind: str
    name: str
    options: dict[str, str] = field(default_factory=dict)

    @property
    def excluded(self) -> list[str]:
        return re.findall(r"\w+", self.options.get("exclude-members", ""))

    def documents(self, member: griffe.Object | griffe.Alias) -> bool:
        """Whether Sphinx shows a member of the class or module."""
        if "no-members" in self.options or member.name in self.excluded or member.name.startswith("_"):
            return False
        return member.has_docstring or "undoc-members" in self.options


def directives(page: str) -> Iterator[Directive]:
    """The autodoc directives of a page, each with the whole name of what it documents."""
    module, last = "", None
    for line in page.splitlines():
        if found := re.match(r"\.\. (auto\w+|currentmodule):: (\S+)", line):
            kind, name = found.groups()
            if kind == "currentmodule":
                module = name
                continue
            last = Directive(kind, name if name.startswith(f"{PACKAGE}.") else f"{module}.{name}")
            yield last
        elif last and (option := re.match(r"   :([\w-]+):\s*(.*)", line)):
            last.options[option[1]] = option[2]
        elif not line.startswith(" "):
            last = None


class Reader:
    """Reads the facts from the code of a checkout.

    :param root: the checkout.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        extensions = griffe.load_extensions("unpack_typeddict")
        loaded = griffe.load(PACKAGE, search_paths=[str(root)], extensions=extensions, try_relative_path=False)
        assert isinstance(loaded, griffe.Module)
        self.package = loaded
        # All of them, since the options of a directive come after its name.
        self.directives = list(directives((root / REFERENCE).read_text()))
        self.facts: dict[str, Fact] = {}

    def read(self) -> Facts:
        for directive in self.directives:
            documented = self.find(directive.name)
            if directive.kind == "automodule":
                for member in own_members(documented):
                    if directive.documents(member):
                        self.add(f"{directive.name}.{member.name}", member, Directive("", ""))
            else:
                self.add(directive.name, documented, directive)
        for constant in own_members(self.find(f"{PACKAGE}.xcom")):
            if isinstance(constant, griffe.Attribute) and constant.name.isupper():
                self.facts[f"XCom {ast.literal_eval(text(constant.value))}"] = Fact(f"xcom.{constant.name}")
        provider_info = runpy.run_path(str(self.root / PACKAGE / "get_provider_info.py"))["get_provider_info"]()
        self.facts |= {path: Fact(value) for path, value in flat(provider_info, "provider info")}
        for module in [module for each in provider_info["triggers"] for module in each["python-modules"]]:
            for trigger in own_members(self.find(module)):
                if isinstance(trigger, griffe.Class) and "serialize" in trigger.members:
                    arguments = stored_arguments(trigger.members["serialize"])
                    self.facts |= {f"{trigger.path}.serialize()[{it}]": Fact("stored by Airflow") for it in arguments}
        return {key.removeprefix(f"{PACKAGE}."): fact for key, fact in sorted(self.facts.items())}

    def find(self, path: str) -> griffe.Object:
        try:
            found = self.package[path.removeprefix(f"{PACKAGE}.")]
            target = found.final_target if isinstance(found, griffe.Alias) else found
        except (KeyError, griffe.AliasResolutionError):
            raise CannotTellError(f"{REFERENCE} documents {path}, which does not exist.") from None
        assert isinstance(target, griffe.Object)
        return target

    def add(self, name: str, documented: griffe.Object | griffe.Alias, directive: Directive) -> None:
        if isinstance(documented, griffe.Alias):
            documented = documented.final_target
        if isinstance(documented, griffe.Class):
            self.add_class(name, documented, directive)
        elif isinstance(documented, griffe.Function):
            is_method = isinstance(documented.parent, griffe.Class)
            how = [word for label, word in METHOD_KINDS.items() if label in documented.labels]
            self.facts[name] = Fact(" ".join([*how, "method" if is_method else "function"]), text(documented.returns))
            bound = is_method and "staticmethod" not in documented.labels
            self.add_arguments(name, list(documented.parameters)[1 if bound else 0 :])
        elif isinstance(documented, griffe.Attribute):
            default = "class-attribute" in documented.labels and documented.value is not None
            value = f"attribute, default {self.literal(documented.value)}" if default else "attribute"
            self.facts[name] = Fact(value, text(documented.annotation))
        else:
            raise CannotTellError(f"{REFERENCE} documents {name}, of a kind that dev/public_api.py does not know.")

    def add_class(self, name: str, cls: griffe.Class, directive: Directive) -> None:
        bases = list(dict.fromkeys(self.public_bases(cls)))
        self.facts[name] = Fact(f"class({', '.join(bases)})" if bases else "class")
        line = [cls, *cls.mro()]
        for excluded in directive.excluded:
            # Under its new name, Sphinx would document what was not meant for users.
            if not excluded.startswith("__") and not any(excluded in each.members for each in line):
                raise CannotTellError(f"{REFERENCE} excludes {excluded} of {name}, which does not exist.")
        is_model = "dataclass" in cls.labels or not any("__init__" in each.members for each in line)
        if not is_model:
            self.add_arguments(name, constructor(line))
        members = [*own_members(cls)]
        if "inherited-members" in directive.options:
            members += [member for base in line[1:] for member in own_members(base)]
        shown = {member.name: member for member in reversed(members) if directive.documents(member)}
        if is_model or is_exception(line):
            shown |= self.fields(line, directive)
        if "template_fields" in cls.members:
            shown["template_fields"] = cls.members["template_fields"]
        for member in shown.values():
            self.add(f"{name}.{member.name}", member, directive)

    def fields(self, line: list[griffe.Class], directive: Directive) -> dict[str, griffe.Object | griffe.Alias]:
        """The attributes without docstrings of their own: a model's, and what an exception carries."""
        shows_all = "dataclass" in line[0].labels and "no-members" not in directive.options
        return {
            member.name: member
            for cls in reversed(line)
            for member in own_members(cls)
            if member.is_attribute and not member.name.startswith("_")
            if shows_all or (cls.docstring and f":param {member.name}:" in cls.docstring.value)
        }

    def public_bases(self, cls: griffe.Class) -> Iterator[str]:
        """The nearest base classes that are documented, or not of this package."""
        for base in cls.bases:
            path = base if isinstance(base, str) else base.canonical_path
            if not path.startswith(f"{PACKAGE}."):
                yield path.rpartition(".")[2]
                continue
            found = self.find(path)
            assert isinstance(found, griffe.Class)
            if self.is_documented(found):
                yield found.name
            else:
                yield from self.public_bases(found)

    def is_documented(self, cls: griffe.Class) -> bool:
        for directive in self.directives:
            documented = self.find(directive.name)
            if documented is cls or (documented is cls.parent and directive.documents(cls)):
                return True
        return False

    def add_arguments(self, name: str, parameters: list[griffe.Parameter]) -> None:
        for position, parameter in enumerate(parameters, 1):
            kind = ARGUMENT_KINDS.get(parameter.kind or griffe.ParameterKind.positional_or_keyword, "")
            where = kind if kind and kind != "by position only" else f"argument {position} {kind}".rstrip()
            if parameter.kind in (griffe.ParameterKind.var_positional, griffe.ParameterKind.var_keyword):
                value = where
            elif parameter.required:
                value = f"{where}, required"
            elif text(parameter.default) == "...":  # a key of a TypedDict that has not to be there
                value = f"{where}, optional"
            else:
                value = f"{where}, default {self.literal(parameter.default)}"
            self.facts[f"{name}({parameter.name})"] = Fact(value, text(parameter.annotation))

    def literal(self, value: str | griffe.Expr | None) -> str:
        """A default in the code's own words; a constant of this package by its value."""
        while isinstance(value, (griffe.ExprName, griffe.ExprAttribute)):
            if not value.canonical_path.startswith(f"{PACKAGE}."):
                break
            constant = self.find(value.canonical_path)
            if not isinstance(constant, griffe.Attribute) or constant.value is None:
                break
            value = constant.value
        return text(value)


def own_members(owner: griffe.Object) -> list[griffe.Object | griffe.Alias]:
    """What a class or module defines itself; of a module with ``__all__`` what that lists."""
    exports = [str(each) for each in owner.exports or ()] if isinstance(owner, griffe.Module) else []
    if exports:
        return [owner.members[name] for name in exports]
    return [member for member in owner.members.values() if not member.is_alias]


def is_exception(line: list[griffe.Class]) -> bool:
    return any(text(base) == "Exception" for cls in line for base in cls.bases)


def constructor(line: list[griffe.Class]) -> list[griffe.Parameter]:
    """The arguments of a class, with those that its constructor passes on to a base of this package."""
    arguments: dict[str, griffe.Parameter] = {}
    passed_on = ""
    for init in [cls.members["__init__"] for cls in line if "__init__" in cls.members]:
        assert isinstance(init, griffe.Function)
        arguments.pop(passed_on, None)
        own = {each.name: each for each in list(init.parameters)[1:]}
        arguments = {**own, **arguments}
        passed_on = next((it.name for it in own.values() if it.kind is griffe.ParameterKind.var_keyword), "")
        if not passed_on:
            break
    return list(arguments.values())


def stored_arguments(serialize: griffe.Object | griffe.Alias) -> list[str]:
    """The arguments with which Airflow makes a trigger again, as ``serialize`` returns them."""
    method = ast.parse(textwrap.dedent(serialize.source)).body[0]
    for node in ast.walk(method):
        match node:
            case ast.Return(value=ast.Tuple(elts=[_, ast.Dict(keys=keys)])):
                names = [key.value for key in keys if isinstance(key, ast.Constant)]
                if len(names) == len(keys):
                    return list(map(str, names))
    raise CannotTellError(f"{serialize.path} has to return a class and a dict with constant keys.")


def flat(value: object, path: str) -> Iterator[tuple[str, str]]:
    """The provider info by the path of each value, without values that are only for users."""
    if isinstance(value, dict):
        within = {key: each for key, each in value.items() if key not in FOR_PEOPLE}
        for key, each in within.items():
            yield from flat(each, f"{path}.{key}")
        if not within:
            yield path, "present"
    elif isinstance(value, list):
        for number, each in enumerate(value):
            if isinstance(each, str):
                yield f"{path}[{each}]", "present"
            else:
                yield from flat(each, f"{path}[{number}]")
    else:
        yield path, repr(value)


def text(value: object) -> str:
    return "" if value is None else " ".join(str(value).split())
