from pathlib import Path
from uuid import uuid4

import pytest
from objects import s3_settings
from sheets import bring

from engine.dataset import exists
from engine.files import company_prefix, open_files
from engine.ids import Kind, new_id
from engine.settings import Settings
from engine.sheets import location


@pytest.fixture(params=["folder", "s3"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    folder = tmp_path / "da ta"
    if request.param == "folder":
        return Settings(data_dir=folder)
    endpoint = request.getfixturevalue("object_store")
    return s3_settings(endpoint, folder, prefix=uuid4().hex)


def test_a_company_is_erased_with_its_sheets_and_no_other_one(
    settings: Settings, tmp_path: Path
) -> None:
    partner, files = new_id(Kind.PARTNER), open_files(settings)
    ours, theirs = new_id(Kind.COMPANY), new_id(Kind.COMPANY)
    for company in (ours, theirs):
        sheet = location(settings, partner, company, sheet=new_id(Kind.SHEET))
        bring(sheet, tmp_path, company, [{"email": "a@x.io"}])
        assert exists(sheet)
    assert files.delete_prefix(company_prefix(partner, ours)) >= 2
    left = files.keys("")
    assert left
    assert all(key.startswith(company_prefix(partner, theirs)) for key in left)
