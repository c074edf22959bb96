"""Likenesses of real exports, written by hand: what a person would read out of each."""

import gzip
import io
import zipfile
from pathlib import Path

import pytest
from small_files import rows, tables

ING = """\
Umsatzanzeige;Datei erstellt am: 01.11.2024 10:22

IBAN;DE99 5001 0517 1234 5678 90
Bank;ING
Kunde;Jo Maier
Zeitraum;01.10.2024 - 31.10.2024
Saldo;1.234,56;EUR

Sortierung;Datum absteigend

In der CSV-Datei finden Sie alle bereits gebuchten Umsätze.

Buchung;Empfänger;Saldo;Währung;Betrag
31.10.2024;REWE;1.234,56;EUR;-45,10
30.10.2024;ACME;1.279,66;EUR;2.500,00
28.10.2024;Stadtwerke;-1.220,34;EUR;-80,00
"""
BANK_OF_AMERICA = """\
Description,,Summary Amt.
Beginning balance as of 10/01/2024,,"1,234.56"
Total credits,,"2,500.00"
Ending balance as of 10/31/2024,,"3,722.56"

Date,Description,Amount,Running Bal.
10/02/2024,"TARGET, AUSTIN",-12.00,"1,222.56"
10/15/2024,PAYROLL,2500.00,"3,722.56"
10/16/2024,FEE,-1.00,"3,721.56"
10/17/2024,FEE,-1.00,"3,720.56"
"""
SAP = """\
05.11.2024           Dynamische Listenausgabe          1
--------------------------------------
|Kunde |Name 1      |     Umsatz|Whrg|
--------------------------------------
|100001|Meyer AG    |  1.234,00 |EUR |
|100002|Kunz & Söhne|    12,50- |EUR |
--------------------------------------
|*     |            |  1.221,50 |EUR |
--------------------------------------
"""
SQLCMD = """\
id          name                 balance
----------- -------------------- ------------
          1 Jo Maier                    12.50
         13 Zoe                          NULL

(2 rows affected)
"""
DOCKER = """\
CONTAINER ID   IMAGE         CREATED        NAMES
a1b2c3d4e5f6   postgres:16   2 hours ago    db
f6e5d4c3b2a1   redis:7       3 days ago     cache
0a9b8c7d6e5f   app:latest    5 weeks ago    web
"""
BOX = """\
┌────┬──────────┐
│ id │   name   │
├────┼──────────┤
│ 1  │ Jo Maier │
│ 2  │          │
└────┴──────────┘
"""
SURVEY = """\
Respondent,Started,Which?,,Why?
,,Mail,Phone,Open-Ended Response
114,2024-11-01,Mail,,none
115,2024-11-02,,Phone,"slow, but ok"
"""
PAGES = """\
Stock list;;;
id;name;qty;price
1;Jo;5;1,00
Page 1 of 2;;;
id;name;qty;price
3;Zo;7;3,00
Page 2 of 2;;;
"""
IIS = """\
#Software: Microsoft Internet Information Services 10.0
#Fields: date time c-ip cs-method sc-status
2024-11-01 00:00:01 10.0.0.1 GET 200
2024-11-01 00:00:02 10.0.0.2 POST 500
2024-11-01 00:00:05 10.0.0.1 GET 304
"""
ADS = """\
Campaign report
November 1, 2024 - November 30, 2024
Campaign\tBudget\tClicks\tCost
Brand | DE\t10.00\t1,234\t98.10
Generic, EN\t25.00\t --\t0.00
Total: Account\t35.00\t1,234\t98.10
"""
SCHWAB = """\
"Transactions as of 11/01/2024"
"Date","Action","Qty","Fee","Amount",
"10/31/2024","Buy","10","","-$25.20",
"10/15/2024","Sell","5","","$12.40",
Transactions Total,"","","",-$12.80
"""
EXPORTS = {
    "ing": (ING, "Buchung Empfänger Saldo Währung Betrag", 3, "31.10.2024|REWE|1.234,56|EUR|-45,10"),
    "bofa": (BANK_OF_AMERICA, "Date Description Amount Running_Bal.", 4,
             "10/02/2024|TARGET, AUSTIN|-12.00|1,222.56"),
    "sap list": (SAP, "Kunde Name_1 Umsatz Whrg", 2, "100001|Meyer AG|1.234,00|EUR"),
    "psql": (" city  | country \n-------+---------\n Bonn  | Germany\n Paris | \n(2 rows)\n",
             "city country", 2, "Bonn|Germany"),
    "markdown": ("# Stock\n\n| SKU | What |\n|:--|--:|\n| A-1 | Lamp \\| tall |\n| A-2 | Bulb |\n",
                 "SKU What", 2, "A-1|Lamp | tall"),
    "sqlcmd": (SQLCMD, "id name balance", 2, "1|Jo Maier|12.50"),
    "docker": (DOCKER, "CONTAINER_ID IMAGE CREATED NAMES", 3, "a1b2c3d4e5f6|postgres:16|2 hours ago|db"),
    "box": (BOX, "id name", 2, "1|Jo Maier"),
    "survey": (SURVEY, "Respondent Started Which?_Mail Which?_Phone Why?_Open-Ended_Response", 2,
               "114|2024-11-01|Mail||none"),
    "pages": (PAGES, "id name qty price", 2, "1|Jo|5|1,00"),
    "iis": (IIS, "date time c-ip cs-method sc-status", 3, "2024-11-01|00:00:01|10.0.0.1|GET|200"),
    "google ads": (ADS, "Campaign Budget Clicks Cost", 2, "Brand | DE|10.00|1,234|98.10"),
    "schwab": (SCHWAB, "Date Action Qty Fee Amount _", 2,
               "10/31/2024|Buy|10||-$25.20|"),
    "chase": ("Details,Date,Amount\nDEBIT,11/01/2024,-12.00,\nCREDIT,10/31/2024,1500.00,\n",
              "Details Date Amount", 2, "DEBIT|11/01/2024|-12.00"),
    "json envelope": ('{"r":{"status":"ok","body":{"items":[{"id":1.50},{"id":2}]}}}', "id", 2, "1.50"),
    "json by column": ('{"id":[1,2,3],"name":["Jo","Mi",null]}', "id name", 3, "1|Jo"),
    "json by key": ('{"x1":{"n":"Jo","a":1},"x2":{"n":"Mi","a":2},"x3":{"n":"Zo"}}', "key n a", 3, "x1|Jo|1"),
    "json split": ('{"columns":["id","n"],"index":[0,1],"data":[[1,"Jo"],[2,"Mi"]]}', "id n", 2, "1|Jo"),
    "json one after another": ('{\n "id": 1\n}\n{\n "id": 2\n}\n', "id", 2, "1"),
    "json in utf-16": ('\ufeff[{"n":"Jö"},{"n":"Mi"}]'.encode("utf-16-le"), "n", 2, "Jö"),
}  # fmt: skip


@pytest.mark.parametrize(("data", "columns", "count", "first"), EXPORTS.values(), ids=EXPORTS)
def test_an_export_is_read_as_a_person_would(
    tmp_path: Path, data: str | bytes, columns: str, count: int, first: str
) -> None:
    table = tables(tmp_path, data)[0]
    found = " ".join(name.replace(" ", "_") or "_" for name in table.source.columns)
    assert (found, table.records) == (columns, count)
    assert "|".join(rows(table)[0][1]) == first


def test_a_zip_may_hold_gzip_files(tmp_path: Path) -> None:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as packed:
        packed.writestr("a.csv.gz", gzip.compress(b"id,name\n1,Jo\n"))
        packed.writestr("b.csv", b"id,town\n1,Ulm\n")
    found = tables(tmp_path, sink.getvalue(), name="all.zip")
    assert [each.source.columns for each in found] == [("id", "name"), ("id", "town")]
