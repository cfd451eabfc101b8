"""What axe-core finds: nothing, in both themes."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from visits import Visit


@pytest.mark.parametrize("page", ["gallery", "01_ising.ipynb", "07_selflearning.ipynb", "workbench.ipynb"])
def test_axe_finds_nothing(voila, context, page):
    visit = Visit(context, f"{voila.base}/" if page == "gallery" else voila.page(page))
    visit.page.get_by_role("heading", level=1).first.wait_for()
    if page != "gallery":
        visit.wait_until_painted()
    for theme in ("light", "dark"):
        visit.page.emulate_media(color_scheme=theme)
        visit.page.wait_for_function("theme => document.documentElement.dataset.theme === theme", arg=theme)
        found = Axe().run(visit.page).response["violations"]
        assert not found, [(each["id"], each["impact"], [node["html"] for node in each["nodes"]]) for each in found]
    visit.close()


def test_axe_is_awake(voila, context):
    visit = Visit(context, f"{voila.base}/")
    visit.page.get_by_role("heading", level=1).wait_for()
    visit.page.evaluate("document.body.append(document.createElement('button'))")
    assert [each["id"] for each in Axe().run(visit.page).response["violations"]] == ["button-name"]
    visit.close()
