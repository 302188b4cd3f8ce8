"""Every action that the code writes into the log has words, in both languages."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from api import i18n
from api.log_words import ACTIONS, OBJECTS, action_word, object_word
from geo.terms import IssueAct, RatingAct

ROOT = Path(__file__).resolve().parents[2]
WRITTEN_IN_SQL = re.compile(r"append_audit\((?:[^,()]+,){3}\s*'([a-z_.]+)'")
ACTS = frozenset(f"issue.{act.value}" for act in IssueAct)
FAMILIES = {
    "f'issue.{found.act.value}'": ACTS,
    "f'issue.{what.value}'": ACTS,
    "f'firm_rating.{act.value}'": frozenset(f"firm_rating.{act.value}" for act in RatingAct),
    "f'inspection.{act.value}'": frozenset(
        f"inspection.{act.value}" for act in RatingAct if act is not RatingAct.TELL
    ),
}
"""Actions that are named after an act on an issue, a firm's rating, an inspection."""
PLACE = 2
"""Of the action among the arguments of `audit.append`."""


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def called(node: ast.Call) -> str:
    function = node.func
    if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name):
        return f"{function.value.id}.{function.attr}"
    return function.id if isinstance(function, ast.Name) else ""


def argument(node: ast.Call, place: int, name: str) -> ast.expr:
    named = [one.value for one in node.keywords if one.arg == name]
    return named[0] if named else node.args[place]


def actions_of(source: str, where: str = "") -> set[str]:
    """Return the actions that a module writes; an action that cannot be read is an error."""
    tree = ast.parse(source)
    constants = {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Constant)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    }
    writers = {"audit.append": (PLACE, "action")}
    found: set[str] = set()
    for _ in range(3):
        for function in functions(tree):
            names = [one.arg for one in (*function.args.posonlyargs, *function.args.args)]
            for node in ast.walk(function):
                if not isinstance(node, ast.Call) or called(node) not in writers:
                    continue
                value = argument(node, *writers[called(node)])
                choices = [value.body, value.orelse] if isinstance(value, ast.IfExp) else [value]
                for one in choices:
                    if isinstance(one, ast.Constant):
                        found.add(str(one.value))
                    elif isinstance(one, ast.Name) and one.id in constants:
                        found.add(str(constants[one.id]))
                    elif isinstance(one, ast.Name) and one.id in names:
                        writers[function.name] = (names.index(one.id), one.id)
                    elif ast.unparse(one) in FAMILIES:
                        found |= FAMILIES[ast.unparse(one)]
                    else:
                        raise AssertionError(f"{where}:{node.lineno}: {ast.unparse(one)}")
    return found


def written() -> set[str]:
    found: set[str] = set()
    for folder in ("geo", "api"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            source = path.read_text("utf-8")
            found |= set(WRITTEN_IN_SQL.findall(source))
            if "audit.append" in source:
                found |= actions_of(source, str(path.relative_to(ROOT)))
    return found


def test_every_action_that_is_written_has_words() -> None:
    found = written()
    assert {"account.created", "city.create", "import.done"} <= found
    assert found - set(ACTIONS) == set()


@pytest.mark.parametrize("action", sorted(ACTIONS))
def test_words_of_an_action_are_there_in_both_languages(action: str) -> None:
    english, chinese = (action_word(action, language) for language in ("en", "zh"))
    assert english and "." not in english and "_" not in english
    assert chinese != english
    assert re.search(r"[\u4e00-\u9fff]", chinese)


def test_objects_are_named_too() -> None:
    assert object_word("account/7", "en") == "Account 7"
    assert object_word("account/7", "zh") == "账号 7"
    assert object_word("something/7", "en") == "something/7"
    assert action_word("something.else", "en") == "something.else"
    for kind in OBJECTS:
        assert re.search(r"[\u4e00-\u9fff]", object_word(kind, "zh"))


def test_the_search_finds_constants_wrappers_and_choices() -> None:
    source = (
        'MADE = "a.made"\n'
        "def note(session, city, what): audit.append(session, city, what, 1, {})\n"
        'def one(s): note(s, 1, "b.one")\n'
        "def two(s): audit.append(s, 1, MADE, 1, {})\n"
        'def three(s, on): audit.append(s, 1, action="c.on" if on else "c.off", subject=1)\n'
    )
    assert actions_of(source) == {"a.made", "b.one", "c.on", "c.off"}
    with pytest.raises(AssertionError, match="what"):
        actions_of("def f(s): audit.append(s, 1, what(), 1, {})")
    assert i18n.LANGUAGES
