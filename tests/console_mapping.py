"""The page that shows and corrects a mapping, with values that look like a real import."""

from console_samples import WAITING

from api.console.views import ColumnRow, FieldRow, MappingPage, MappingSheet

MAPPING = MappingPage(
    run=WAITING,
    can_edit=True,
    sheets=(
        MappingSheet(
            sheet="contacts",
            file="contacts-2026-11.csv",
            fields=(
                FieldRow(
                    field="email",
                    title="E-mail",
                    type="email",
                    required=True,
                    columns=(2,),
                    by="values",
                    score=0.99,
                    evidence="98.7 % of the values are e-mail addresses.",
                    runner_up="Website (0 %)",
                ),
                FieldRow(
                    field="last_name",
                    title="Last name",
                    type="string",
                    required=True,
                    columns=(1,),
                    by="exact",
                    score=1.0,
                    evidence="The header is “Last Name”.",
                    runner_up=None,
                ),
                FieldRow(
                    field="phone",
                    title="Phone",
                    type="phone",
                    required=False,
                    columns=(),
                    by="",
                    score=0.0,
                    evidence="No column fits.",
                    runner_up=None,
                ),
            ),
            columns=(
                ColumnRow(index=0, header="First Name", used_by=()),
                ColumnRow(index=1, header="Last Name", used_by=("last_name",)),
                ColumnRow(index=2, header="E-Mail-Adresse", used_by=("email",)),
            ),
        ),
    ),
)
