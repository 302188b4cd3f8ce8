"""The stand that pages are tested on works, and notices what it must notice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page


def test_the_server_answers(page: Page) -> None:
    answer = page.goto("/healthz")
    assert answer is not None
    assert answer.status == 200
    assert "ok" in page.content()


def test_a_foreign_request_and_an_error_are_noticed(new_page: Callable[..., Page]) -> None:
    page: Any = new_page()
    page.set_content(
        "<img src='http://elsewhere.example/a.png'><script>throw new Error('on purpose')</script>"
    )
    page.wait_for_timeout(300)
    assert page.visit.foreign == ["http://elsewhere.example/a.png"]
    assert any("on purpose" in error for error in page.visit.errors)
    page.visit.foreign.clear()
    page.visit.errors.clear()


def test_chinese_characters_have_a_face(page: Page) -> None:
    page.goto("/healthz")
    widths = page.evaluate(
        """() => ['网格', '\\ue000\\ue001'].map(text => {
            const drawing = document.createElement('canvas').getContext('2d');
            drawing.font = '40px sans-serif';
            drawing.fillText(text, 0, 40);
            return Array.from(drawing.getImageData(0, 0, 40, 60).data).join();
        })"""
    )
    assert widths[0] != widths[1], "no font with Chinese characters is installed"
