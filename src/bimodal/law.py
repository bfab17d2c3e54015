"""What the law says of such programs, in the one sentence that help, server and model cards repeat."""

from typing import Final

LAW: Final = (
    "In the EU, inferring emotions of a person from their voice in the areas of work and education is forbidden "
    "except for medical or safety reasons (AI Act, Art. 5(1)(f)); a classroom is education. Other uses are high-risk, "
    "and persons exposed must be told (Art. 50(3))."
)
