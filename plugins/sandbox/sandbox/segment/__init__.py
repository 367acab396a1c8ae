"""The Segment twin: Public API, Profile API, Tracking API, OAuth server and webhook sender on one port.

Credentials (space `spa_7kQ2`, slug and warehouse schema `prod`): Public API `sandbox-papi-token`, Profile API
`sandbox-profile-token`, write keys `sandbox-write-key` and `sandbox-write-key-2` (two sources). A workspace of the EU
has `sandbox-papi-token-eu`, `sandbox-profile-token-eu`, `sandbox-write-key-eu`; `POST /_twin/config {"region": "eu"}`
makes the port the EU host, where only those hold.

| request | what it does |
| --- | --- |
| `GET`, `POST /_twin/config` | `region`, `enforce_oauth`, `missing_id` (`reject`, `drop`), `token_seconds` |
| `POST /_twin/clock` | `{"advance": s}`, `{"set": ISO time}` (stops it there), `{"freeze": true or false}` |
| `POST /_twin/oauth/apps` | `{"client_id", "key_id", "public_key"}`: an app that may ask `/token` |
| `POST /_twin/churn` | `{"fraction": 0.01, "seed": 7}`: population and warehouse move on; answers the counts |
| `POST /_twin/send` | delivers audience messages to a webhook; the settings are those of `sender.Order` |
| `GET /_twin/people` | NDJSON: ids, audiences, consent, suppressed and identifiable_by of each person |
| `GET /_twin/audiences/{key}/members` | NDJSON: person ids in the audience now |
| `GET /_twin/suppressed` | NDJSON: SHA-256 of the normalised e-mails on the suppression list |
| `GET /_twin/tracking` | NDJSON: each message received, stored or dropped, and why |

Where the contract is silent: 600 requests a minute on endpoints without a stated limit; a preview takes 2 s and knows
only the queries of the twin's own audiences; a regulation is through after a day, suppression at once; after the type
of a Profile API id every character but letters, digits and `-._~` must be percent-encoded; `segment_id` keeps its
capitals.
"""

from sandbox.segment.app import create_app

__all__ = ["create_app"]
