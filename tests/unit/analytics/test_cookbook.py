from analytics.cookbook import PAGE, SECTION, recipes
from analytics.statement import read_only


def test_every_question_of_the_page_is_one_select() -> None:
    found = recipes()
    section = PAGE.read_text().partition(SECTION)[2].partition("\n## ")[0]
    assert len(found) == section.count("\n### ") == section.count("```sql") >= 12
    for name, sql in found.items():
        assert name.endswith("?")
        assert read_only(sql)
