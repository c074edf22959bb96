"""Where the table is: each case is a text, the rows of its header, and the row of its first record."""

import csv
import io

import pytest

from engine.intake import table
from engine.intake.table import Region
from plans.plan import Read

ROWS = "Jo,5,2024-01-02\nMi,6,2024-01-03\nZo,7,2024-01-04\n"


def find(text: str, **read: object) -> Region:
    rows = [row or [""] for row in csv.reader(io.StringIO(text))]
    return table.find(rows, Read.model_validate(read))


CASES = {
    "plain": ("name,age,day\n" + ROWS, (1,), 2),
    "title": ("Staff list\nname,age,day\n" + ROWS, (2,), 3),
    "title and blank": ("Staff list\n\n\nname,age,day\n" + ROWS, (4,), 5),
    "padded title": ("Staff list,,\n,,\nname,age,day\n" + ROWS, (3,), 4),
    "keys and values": (
        "Account:,DE12 3456\nFrom:,2024-01-01\nTo:,2024-02-01\n\nname,age,day\n" + ROWS,
        (5,),
        6,
    ),
    "padded keys and values": ("Company,ACME,,\nDate,2024-01-01,,\nname,age,day,town\n"
                               + ROWS.replace("\n", ",Bonn\n"), (3,), 4),
    "comment": ("# exported by X\n# at 10:00\nname,age,day\n" + ROWS, (3,), 4),
    "sep line": ("sep=,\nname,age,day\n" + ROWS, (2,), 3),
    "none": (ROWS, (), 1),
    "none below a title": ("Staff list\n\n" + ROWS, (), 3),
    "two rows": ("name,age,day\nstaff,years,date\n" + ROWS, (1, 2), 3),
    "groups above": (
        "Person,,Entry,\nname,age,day,place\n" + ROWS.replace("\n", ",x\n"),
        (2,),
        3,
    ),
    "a group over two of three": (",Size,\nname,min,max\na,1,2\nb,5,6\nc,9,10\n", (1, 2), 3),
    "text below groups": (
        "Id,Name,Billing,,Shipping,\n,,City,Street,City,Street\n"
        + "1,Jo,Bonn,Weg 1,Ulm,Am Tor\n2,Mi,Ulm,Gasse,Ulm,Gasse\n", (1, 2), 3,
    ),
    "a title over the middle": (",,Report,,\na,b,c,d,e\nx,1,2,3,4\ny,1,2,3,4\n", (2,), 3),
    "pairs of blanks between": (
        "Customer,,Acme,\nPeriod,,October,\nname,age,day,town\n" + ROWS.replace("\n", ",x\n"),
        (3,),
        4,
    ),
    "types below names": ("name,age,day\nvarchar,int32,date\n" + ROWS, (1,), 3),
    "names of types": ("from,to\ntext,varchar\nint,bigint\nstr,text\n", (1,), 2),
    "pairs right above": ("Company,ACME,,\nname,age,day,town\n" + ROWS.replace("\n", ",x\n"), (2,), 3),
    "a first row without a key": ("id,,age,town\n,Jo,30,Ulm\n1102,Mi,26,Rom\n1103,Zo,27,Bonn\n", (1,), 2),
    "merged groups": (
        "Name,Size,,Price,\n,min,max,min,max\n" + "a,1,2,3,4\nb,5,6,7,8\nc,9,10,11,12\n",
        (1, 2),
        3,
    ),
    "units": ("name,weight,price\n,(kg),(EUR)\na,1.5,20\nb,2.5,30\nc,3.5,40\n", (1,), 3),
    "years": ("land,2019,2020\nDE,83.1,83.2\nFR,67.2,67.4\nIT,60.1,59.8\n", (1,), 2),
    "title with commas": ("Report, of, things\n\nname,age,day\n" + ROWS, (3,), 4),
    "all text": ("first,last\nAnna,Meyer\nBert,Schulz\nCleo,Huber\n", (1,), 2),
    "row names without a name": (",height\nann,1.71\nbea,1.68\ncleo,1.80\n", (1,), 2),
    "numbers across": (",1.5,2.5,3.5\n10,0,1,0\n11,4,0,2\n12,1,1,0\n", (1,), 2),
    "title beside a blank": (",Staff\nname,age\nJo,5\nMi,6\n", (2,), 3),
    "names that are values too": ("a,b,c\n1,b,c\n2,b,c\n3,b,c\n", (1,), 2),
    "codes as names": ("T1,T2,T6\nold house,red,far\nnew,dark red,near by\nbig house,blue,far off\n", (1,), 2),
    "codes as a second row": (
        ",Adults,,Children,\nt4,men,women,boys,men\n1,2,3,4,5\n2,6,7,8,9\n3,1,2,3,4\n4,5,6,7,8\n",
        (1, 2),
        3,
    ),
    "comments as long as the table": ("# one\n# two\nname,age\nJo,5\n# more\nMi,6\n", (3,), 4),
    "long comments": ("# one, two\n" * 30 + "name,age,day\n" + ROWS, (31,), 32),
    "names as the last comment": ("# made by x\n#name,age,day\n" + ROWS, (2,), 3),
    "a title with a comma and lone lines": (
        "Ages, all\nUnit: years\nBase: 2020\nYear,Value\n1880,-0.1\n1881,0.2\n1882,0.3\n", (4,), 5,
    ),
    "pairs as narrow as the table": (
        "Model,X20\nRate,5\nMode,Y\n,\nTime,Volt\n" + "0.1,0.4\n0.2,0.8\n0.3,0.1\n", (5,), 6,
    ),
    "pairs with an end of line": (
        "Account,DE12,\n\nFrom,1.1.20,\nTo,1.3.20,\nSum,9,\n\nday,text,who,sum,\n"
        + "1.1.20,rent,Jo,5,\n2.1.20,pay,Mi,6,\n3.1.20,fee,Zo,7,\n", (7,), 8,
    ),
    "a unit under one of two typed columns": (
        "Day,People\n,Number\n1.1.1950,50958125\n1.1.1951,51434777\n1.1.1952,51863761\n", (1, 2), 3,
    ),
    "numbered by pandas": ("0,1,2\n0.1,1.5,3.1\n0.2,1.6,4.2\n0.3,1.7,5.5\n", (1,), 2),
    "merged years above": (
        "Region,2019,,2020,\n,men,women,men,women\nN,1,2,3,4\nS,5,6,7,8\nE,2,3,4,5\n", (1, 2), 3,
    ),
    "a name is missing": ("id,,age\n1101,Jo,30\n1102,Mi,26\n", (1,), 2),
    "text without header": ("a@x.example,Anna\nb@x.example,Bert\nc@x.example,Cleo\n", (), 1),
}  # fmt: skip


@pytest.mark.parametrize(("text", "header", "first"), CASES.values(), ids=CASES)
def test_the_table_is_found(text: str, header: tuple[int, ...], first: int) -> None:
    region = find(text)
    assert tuple(at + 1 for at in region.header) == header
    assert region.first + 1 == first


def test_merged_titles_are_joined_to_the_names_below() -> None:
    region = find("Name,Size,,Price,\n,min,max,min,max\na,1,2,3,4\nb,5,6,7,8\nc,9,8,7,6\n")
    assert region.columns == ("Name", "Size min", "Size max", "Price min", "Price max")


def test_a_nameless_header_cell_too_many_is_left_out() -> None:
    assert find(",name,age,day\n" + ROWS).columns == ("name", "age", "day")


def test_a_column_of_row_numbers_may_lack_its_name() -> None:
    region = find("name,age\n1,Jo,5\n2,Mi,6\n3,Zo,7\n")
    assert (region.columns, region.first) == (("", "name", "age"), 1)


def test_row_names_may_lack_their_name_as_r_writes_them() -> None:
    text = "mpg,cyl\nMazda,21,6\nDatsun,22.8,4\nHornet,21.4,6\n"
    assert find(text).columns == ("", "mpg", "cyl")


def test_the_delimiter_at_the_end_of_each_line_is_no_unnamed_first_column() -> None:
    assert find("id,town\n1,Bonn,\n2,Rom,\n3,Ulm,\n").columns == ("id", "town", "")


def test_a_second_table_of_another_width_ends_the_first() -> None:
    region = find("name,age,day\n" + ROWS + "town,zip\nBonn,53111\nKiel,24103\nUlm,89073\n")
    assert region.end == 4
    assert region.width == 3


FOOTERS = {
    "total": (["Total", "18", ""], 1),
    "balance": (["Saldo", "", "1.679,90"], 1),
    "source": (["Source: register", "", ""], 1),
    "page": (["Page 1 of 1"], 1),
    "a last row": (["Total Wine", "18", "2024-01-05"], 0),
    "a sparse row": (["Yo", "", ""], 0),
}


@pytest.mark.parametrize(("last", "count"), FOOTERS.values(), ids=FOOTERS)
def test_footers_are_told_from_rows(last: list[str], count: int) -> None:
    rows = [(2, ["Jo", "5", "2024-01-02"]), (3, ["Mi", "6", "2024-01-03"]), (4, last)]
    assert table.footer(rows, 3) == count


def test_a_total_of_all_columns_is_a_footer_only_below_a_gap() -> None:
    rows = [(2, ["Lamp", "2", "10,00"]), (3, ["Bulb", "5", "1,99"])]
    total = ["Summe", "7", "11,99"]
    assert table.footer([*rows, (5, total)], 3) == 1
    assert table.footer([*rows, (4, total)], 3) == 0
    assert table.footer([*rows, (4, ["Total: all", "7", "11,99"])], 3) == 1


def test_a_row_that_was_cut_short_is_no_footer() -> None:
    assert table.footer([(2, ["1", "2", "3"]), (3, ["4", "5", "6"]), (4, ["7"])], 3) == 0
    assert table.footer([(2, ["1", "2", "3"]), (3, ["4", "5", "6"]), (4, ["end"])], 3) == 1


def test_remarks_that_hold_the_delimiter_are_no_rows() -> None:
    body = [(n, ["North", "10", "20", "30", "40"]) for n in range(2, 6)]
    notes = [
        ["Notes"],
        ["1.", "rounded"],
        ["2. see method", " section 4", " for details"],
        ["-----"],
    ]
    rows = [*body, *((7 + at, cells) for at, cells in enumerate(notes))]
    assert table.footer(rows, 5) == 4


def test_a_key_alone_is_a_row_also_below_a_gap() -> None:
    assert table.footer([(2, ["1", "2"]), (3, ["4", "5"]), (5, ["7", ""])], 2) == 0


def test_a_lone_cell_below_a_gap_is_a_footer() -> None:
    rows = [(2, ["Jo", "5", "x"]), (3, ["Mi", "6", "y"]), (5, ["Anna", "", ""])]
    assert table.footer(rows, 3) == 1


def test_a_bare_sum_and_a_remark_below_a_gap_are_footers() -> None:
    body = [(n, ["", f"v{n}", "rent", "9.50", "x"]) for n in range(2, 6)]
    rows = [*body, (7, ["", "", "", "38.00", ""]), (8, ["", "see period 1", "", "", ""])]
    assert table.footer(rows, 5) == 2
    assert table.footer([*body, (6, ["", "v6", "", "", ""])], 5) == 0


def test_what_the_plan_says_is_done() -> None:
    region = find("a\nb\nname,age,day\n" + ROWS, header_row=3, first_row=5)
    assert (region.header, region.first) == ((2,), 4)
    assert find("name,age,day\n" + ROWS, has_header=False).first == 0


def test_a_sparse_first_row_is_no_preamble() -> None:
    rows = "1,,,4,x,\n1,2,3,4,x,y\n5,6,7,8,x,y\n9,1,2,3,x,y\n"
    assert find(rows).first == 0
