from pathlib import Path

import pytest
from small_files import codes, rows, staged

from engine.intake import encoding
from engine.intake.source import ReadCode

WORDS = {
    "cp1252": "Müller Straße Köln Société café año",
    "cp1250": "Łódź Kraków wieś żółty Częstochowa",
    "cp1251": "Москва улица Иванов Петрова",
    "cp1253": "Αθήνα Ελλάδα πελάτης Παπαδόπουλος",
    "cp1254": "şehir müşteri Şahin Çağlar",
    "cp1255": "ירושלים אביב לקוח חברה",
    "cp874": "กรุงเทพ บริษัท ลูกค้า",
    "koi8-r": "Москва улица Иванов Петрова",
    "cp932": "東京都 株式会社 山田太郎 カタカナ",
    "gb18030": "北京市 有限公司 张伟 客户",
    "big5": "臺北市 有限公司 陳小明",
    "cp949": "서울특별시 주식회사 김철수",
}


@pytest.mark.parametrize("name", WORDS)
@pytest.mark.parametrize("plain", [0, 500])
def test_a_few_words_among_plain_text_tell_the_encoding(name: str, plain: int) -> None:
    lines = [f"{at};{word};Berlin" for at, word in enumerate(WORDS[name].split())]
    lines += [f"{at};Smith Ltd;Berlin" for at in range(plain)]
    text = "id;name;city\n" + "\n".join(lines) + "\n"
    found = encoding.detect(text.encode(name), whole=True, given=None)
    assert text.encode(name).decode(found.name) == text


@pytest.mark.parametrize("name", ["utf-8-sig", "utf-16", "utf-32", "utf-16-le", "utf-16-be"])
def test_unicode_with_and_without_a_mark(name: str) -> None:
    data = "id;name\n1;Jörg Müller\n2;Иван\n".encode(name)
    found = encoding.detect(data, whole=True, given=None)
    assert data[found.skip :].decode(found.name) == "id;name\n1;Jörg Müller\n2;Иван\n"


def test_a_character_cut_by_the_sample_is_no_reason_against_utf_8() -> None:
    assert encoding.detect("aé".encode()[:-1], whole=False, given=None).name == "utf-8"
    assert encoding.detect("aé".encode()[:-1], whole=True, given=None).name != "utf-8"


def test_text_decoded_wrongly_before_is_noticed() -> None:
    assert encoding.mojibake("Müller".encode().decode("cp1252")) == 1
    assert encoding.mojibake("Müller") == 0


def test_a_few_lines_of_another_encoding_do_not_decide_for_the_file(tmp_path: Path) -> None:
    lines = [b"name,town\n", *(f"{n},Köln\n".encode() for n in range(9))]
    table = staged(tmp_path, b"".join([*lines, "x,Gößweinstein\n".encode("cp1252")]))
    assert [cells[1] for _, cells in rows(table)] == [*["Köln"] * 9, "Gößweinstein"]
    assert ReadCode.MIXED_ENCODING in codes(table)
