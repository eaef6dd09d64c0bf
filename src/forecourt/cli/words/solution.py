"""What the fields of ``solution.yaml`` say."""

from __future__ import annotations

from typing import Final

from forecourt.kernel import solution as head
from forecourt.kernel.solution import Record

#: What each field says, by shape.
FIELDS: Final[dict[type[Record], dict[str, str]]] = {
    head.LabelsFile: {"labels": "Text of the base language -> text in the language of the file."},
    head.SolutionHeader: {
        "name": "Short name, in lower case; the default data folder is .forecourt/<name>.",
        "title": "Name for people: header of the portal, titles of its pages.",
        "publisher": "Who makes the solution.",
        "tenant": "Tenant in the path of the token endpoint: /<tenant>/oauth2/v2.0/token.",
        "external_users": "policy-required: an external user reads nothing of an entity that no active policy "
        "constrains. open: every row that roles and legal entities admit.",
        "connections": "Where the two databases are.",
        "legal_entities": "The companies that dataAreaId names.",
        "public": "What visitors and whoever registers are meant to do with every row of a table, by table: audit does "
        "not report it.",
        "public_rows": "Which rows of a public table are meant, by table, as the filter of a FetchXML: audit reports "
        "the others. Left out: every row that permissions and policies admit.",
        "anonymous_user": "Operations user that visitors without a sign-in act as; left out: they read no live data.",
        "applications": "Programs that get tokens with client id and secret.",
        "issuers": "OIDC issuers whose tokens are accepted.",
        "sample": "Sample data, loaded once into an empty database.",
    },
    head.Publisher: {"name": "Name of the publisher.", "prefix": "Prefix of the publisher's own tables and columns."},
    head.LegalEntityDefinition: {
        "id": "What dataAreaId holds.",
        "name": "Name of the company.",
        "currency": "Accounting currency, as an ISO 4217 code.",
    },
    head.Connections: {
        "dataverse": "Database of contacts, sign-ins and native tables: embedded, or a PostgreSQL URL.",
        "operations": "Database of the ERP: embedded, or a PostgreSQL URL, usually ${NAME}.",
    },
    head.Application: {
        "client_id": "Client id of the program.",
        "user": "Operations user that it acts as.",
        "secret": "Its secret, as ${NAME}; left out: made at the first start, written to applications.json.",
    },
    head.Issuer: {
        "issuer": "Exact iss of the tokens.",
        "audience": "Exact aud of the tokens.",
        "jwks_uri": "Address of the keys; left out: found by OIDC discovery.",
        "claim": "Claim that names the operations user.",
        "match": "What the claim is compared with: the user's id or e-mail.",
    },
    head.Sample: {
        "schema": "SQL files that run first, relative to the solution.",
        "generator": "Python file with loads(scale) and people().",
        "finish": "SQL files that run last, such as indexes.",
    },
}
