"""An organization with tenants, recipients and requests of data subjects: what succeeds, and for whom it is refused."""

from __future__ import annotations

from tests.golden.organization import ACCESS, write_organization
from tests.golden.runner import Session
from tests.golden.third_parties import OFFERED, SIGNED

OUTPUT = "out/checkins"
FORM = f"--evidence FORM-1 {SIGNED}"
PIA, PAUL, SAM, SUE, ANN, ROB, OLGA, CARL = (
    f"{name}@example.com" for name in ("pia", "paul", "sam", "sue", "ann", "rob", "olga", "carl")
)


def steps(session: Session) -> None:
    """Settings and runs, then sharing, access, data subjects, an incident, and the log of all of it."""
    write_organization(session)
    session.stable_digests.discard("settings")  # those of the ledger hold the time at which they were recorded
    _runs(session)
    _shares(session)
    _grants(session)
    _subjects(session)
    _incident(session)
    _log(session)


def _runs(session: Session) -> None:
    session.run("settings set north location on --since 2026-01-01T00:00:00Z --pipeline pipeline --json", actor=PIA)
    session.run("settings set south location on --pipeline pipeline --json", actor=ANN)
    session.run("run pipeline --json")
    session.look(OUTPUT)
    session.run(f"verify {OUTPUT} --json")


def _shares(session: Session) -> None:
    on = "--pipeline pipeline --json"
    send = "share send vendor sync --pipeline pipeline --json"
    session.write("signed.txt", "A signed form.\n")
    session.run(f"consent request north vendor sync {on}", actor=PIA)
    session.run(f"{send} --to early.parquet", actor=PIA)
    session.run(f"contract record north vendor {OFFERED} {on}", actor=PIA)
    session.run(
        f"contract record south vendor --reference C-2 --permits-transmission --field model {SIGNED} {on}", actor=PIA
    )
    session.run(f"contract record west vendor {OFFERED} {on}", actor=ANN)
    session.run(f"consent give north vendor sync {FORM} --text-version 1 {on}", actor=PIA)
    session.run(f"consent give north vendor sync {FORM} --text-version 2 --since 2026-11-01T00:00:00Z {on}", actor=PIA)
    session.run(f"consent show {on}", actor=PIA)
    session.run(f"consent confirm north vendor sync {SIGNED} {on}", actor=PIA)
    session.run(f"consent confirm north vendor sync --document pipeline/policy.yaml {on}", actor=PAUL)
    session.run(f"consent confirm north vendor sync {SIGNED} {on}", actor=PAUL)
    session.run(
        f"consent give south vendor sync {FORM} --since 2026-11-01T00:00:00Z --until 2026-11-26T00:00:00Z {on}",
        actor=PIA,
    )
    session.run(f"consent confirm south vendor sync {SIGNED} {on}", actor=PAUL)
    session.run(f"consent refuse west vendor sync --evidence FORM-1 {on}", actor=PIA)
    session.run(f"consent give west vendor sync --evidence FORM-1 {on}", actor=PIA)
    session.run(f"consent give west vendor sync {FORM} {on}", actor=ANN)
    session.run(f"consent give west vendor sync {on}", actor=PIA)
    session.run(f"consent show {on}", actor=PIA)
    session.run(f"consent explain west vendor sync {on}", actor=PIA)
    session.run(f"consent explain south vendor sync {on}", actor=PIA)
    session.run(f"consent explain south vendor sync --at 2026-11-26T00:00:00Z {on}", actor=PIA)
    session.run(f"share explain vendor sync --tenant north {on}", actor=PIA)
    session.run(f"share explain partner sync --tenant north {on}", actor=PIA)
    session.run("share send partner sync --pipeline pipeline --to partner.parquet --json", actor=PIA)
    data = "--data data/2026-11-24/a.ndjson.gz --policy pipeline/policy.yaml --recipients recipients --ledger ledger.db"
    session.run(f"{send} --dry-run", actor=PIA)
    session.run(f"{send} --to payload.parquet", actor=PIA)
    session.run(f"share send vendor sync {data} --field model --to payload.csv --json", actor=PIA)
    session.run(f"{send} --to refused.parquet", actor=ANN)
    shared = session.run(f"share log {on}", actor=PIA).get("disclosures", 0, "disclosure")
    session.run("share show --pipeline pipeline", shared, actor=PIA)
    session.run(f"consent withdraw north vendor sync {FORM} --to recall.json {on}", actor=PIA)
    session.run(f"share recall list {on}", actor=PIA)
    session.run(f"share recall issue vendor --to due.json {on}", actor=PIA)
    session.run(f"share recall confirm vendor --tenant north {on}", actor=PIA)
    session.run(f"share recall list --all {on}", actor=PIA)
    session.run(f"consent mark-expired {on}", actor=PIA)
    session.run(f"functions list north {on}", actor=PIA)
    session.run("functions list north --html functions.html --pipeline pipeline", actor=PIA)
    session.run(f"functions disable south vendor sync --evidence FORM-3 {on}", actor=PIA)
    session.write(
        "left.csv", "tenant_id,serial,deleted_at\nnorth,S-1,2026-11-24T10:00:00Z\nnorth,,2026-11-24T10:00:00Z\n"
    )
    session.run(f"events import left.csv --id-field serial {on}", actor=PIA)
    session.run(
        f"subject refuse --kind export --id d-9 --tenant north --reason withheld --evidence CASE-9 {on}", actor=PIA
    )
    session.run(f"tenant report north {on}", actor=PIA)
    session.run(f"contract end south vendor {on}", actor=PIA)
    session.run(f"contract show {on}", actor=PIA)
    session.run("recipient show vendor --recipients recipients --json")
    session.run("recipient lint recipients --json")


def _grants(session: Session) -> None:
    on = "--pipeline pipeline --json"
    session.run(f"access lint {on}")
    session.run(f"access show {on}")
    session.run(f"access explain ann@example.com checkins --purpose operations {on}")
    session.run(f"access explain sam@example.com checkins --field model --purpose operations {on}")
    session.run(f"access explain ann@example.com settings/set --tenant north {on}")
    request = 'access request checkins --incident CASE-7 --reason "does not check in" --tenant north'
    session.run(f"{request} --field model {on}", actor=SAM)
    opened = f'--kind support --title "No check-in" --tenant north --evidence TICKET-7 {on}'
    session.run(f"incident open CASE-7 {opened}", actor=SAM)
    session.run(f"incident open CASE-8 {opened}", actor=ANN)
    grant = session.run(f"{request} --field model {on}", actor=SAM).get("grant")
    session.run(f"access approve {on}", grant, actor=SAM)
    session.run(f"access approve {on}", grant, actor=SUE)
    session.run(f"{request} --field model {on}", actor=PIA)
    session.run(f"access approve --reason seen {on}", grant, actor=PIA)
    session.run(f"access explain sam@example.com checkins --field model --purpose operations --incident CASE-7 {on}")
    session.run(f"access list {on}", actor=SAM)
    session.run(f"access revoke {on}", grant, actor=SAM)
    other = session.run(f"{request} --category identified --reidentify {on}", actor=SAM).get("grant")
    session.run(f"access deny --reason no {on}", other, actor=PIA)
    session.run(f"access request checkins --field model --incident CASE-7 --tenant west --reason x {on}", actor=SAM)
    urgent = session.run(f"{request} --field model --break-glass {on}", actor=SUE).get("grant")
    session.run(f"access list --all {on}", actor=PIA)
    session.run(f"access review --reason needed {on}", urgent, actor=PIA)
    session.run(f"access mark-expired {on}", actor=PIA)
    session.run(f"{request} --field model {on}", actor=SAM)
    session.run(f"incident close CASE-7 --reason done {on}", actor=PIA)
    session.run(f"access list --all {on}", actor=PIA)
    request = session.run(f"access token --actor ann@example.com --for 30m {on}", actor=ROB).get("token")
    session.run(f"access token confirm {on}", request, actor=ROB)
    session.run("access token confirm --pipeline pipeline", request, actor=ANN)
    session.run("access token --for 30m --pipeline pipeline", actor=ANN)
    session.run("access token --actor rob@example.com --pipeline pipeline", actor=ANN)
    token = session.run(f"access token list {on}", actor=ROB).get("tokens", 0, "token")
    session.run(f"access token revoke {on}", token, actor=ROB)
    session.run(f"access adopt {on}", actor=ROB)
    session.run(f"access adopt --yes {on}", actor=ROB)
    session.write("access.yaml", {**ACCESS, "groups": {"support": ["sam@example.com"]}})
    session.run(f"access show {on}")
    session.run(f"access list {on}", actor=SUE)
    session.write("access.yaml", ACCESS)


def _restrictions(session: Session, on: str) -> None:
    """A subject is restricted, excluded from a run, and lifted."""
    session.run(f"subject restrict d-4 --tenant west {on}", actor=PIA)
    session.run(f"subject restrict d-4 --tenant west --yes {on}", actor=PIA)
    session.run(f"subject restrict d-4 --tenant west --yes {on}", actor=PIA)
    session.run(f"subject view d-4 --tenant west {on}", actor=PIA)
    session.run(f"subject view d-4 --tenant west --restricted --rows 1 {on}", actor=PIA)
    session.run("subject status --pipeline pipeline --json", actor=PIA)
    session.run("run pipeline --date 2026-11-24 --json")
    session.run(f"subject lift d-4 --tenant west --yes {on}", actor=ANN)
    session.run(f"subject lift d-4 --tenant west {on}", actor=PIA)
    session.run(f"subject lift d-4 --tenant west --yes {on}", actor=PIA)
    session.run(f"subject lift d-4 --tenant west --yes {on}", actor=PIA)
    session.run("subject status --pipeline pipeline --json", actor=PIA)


def _subjects(session: Session) -> None:
    on = f"--pipeline pipeline --also {OUTPUT} --json"
    session.run(f"subject coverage {on}", actor=PIA)
    session.run(f"subject view d-1 --tenant south {on}", actor=PIA)
    session.run(f"subject view u-1 --id-field user --tenant south {on}", actor=PIA)
    session.run(f"subject view d-1 {on}", actor=ANN)
    session.run(f"subject view --tenant west --rows 1 {on}", actor=PIA)
    session.run(f"subject export d-1 --tenant south --to exported --redact model {on}", actor=PIA)
    correct = f"subject correct d-1 --tenant south --origin request --evidence CASE-9 {on}"
    session.run(f"{correct} --set model=Z --yes", actor=ANN)
    session.run(f"{correct} --set model=Z --yes", actor=CARL)
    session.run(f"{correct} --set serial=Z --yes", actor=PIA)
    session.run(f"{correct} --set model=Z", actor=PIA)
    proposed = session.run(f"{correct} --set model=Z --yes", actor=PIA).get("request")
    session.run(f"subject approve --yes {on}", proposed, actor=PIA)
    session.run(f"subject approve --yes {on}", proposed, actor=PAUL)
    session.run(f"subject export d-2 --tenant west --to restricted --then-delete --yes {on}", actor=PIA)
    _restrictions(session, on)
    session.run(f"subject delete d-3 --tenant north {on}", actor=PIA)
    request = session.run(f"subject delete d-3 --tenant north --yes {on}", actor=PIA).get("requests", 0)
    session.run("subject confirm --pipeline pipeline --json", request, "vendor", actor=PIA)
    session.run(f"subject delete nobody --tenant nowhere --yes {on}", actor=PIA)
    session.run(f"subject view d-3 --tenant north {on}", actor=PIA)
    session.run("subject status --pipeline pipeline --json", actor=PIA)
    session.run("run pipeline --date 2026-11-24 --json")
    session.run(f"subject view d-3 --tenant north {on}", actor=PIA)

    on = "--pipeline pipeline --json"
    session.run(f"events add west subject_left --subject d-5 --at 2026-11-24T22:00:00Z {on}", actor=PIA)
    wrong = session.run(f"events add south became_personal --subject d-4 {on}", actor=PIA).get("event")
    session.run(f"events add nowhere tenant_closed {on}", actor=PIA)
    session.run(f"events withdraw {on}", wrong, actor=PIA)
    session.run(f"events list --history {on}", actor=PIA)
    session.run(f"expire {OUTPUT} --pipeline pipeline --json", actor=PIA)
    session.run(f"expire {OUTPUT} --pipeline pipeline --yes --json", actor=PIA)
    session.run(f"expire {OUTPUT} --pipeline pipeline --due --json", actor=PIA)
    session.run(f"verify {OUTPUT} --json")
    _another_ledger(session)


def _another_ledger(session: Session) -> None:
    """The output is continued with another ledger: that is refused, then adopted, and nobody comes back."""
    settings = "tenant_id,subject,setting,value,holder,valid_from,recorded_at\n"
    session.write("settings.csv", f"{settings}north,,location,on,admin,2026-01-01T00:00:00Z,2026-01-01T00:00:00Z\n")
    session.run("run pipeline --date 2026-11-24 --ledger other.db --json")
    session.run("expire out/checkins --pipeline pipeline --ledger other.db --yes --json", actor=PIA)
    adopt = f"runs adopt-ledger {OUTPUT} --json --ledger"
    session.run(f"{adopt} ledger.db --reason mistaken", actor=PIA)
    session.run(f"{adopt} other.db --reason lost", actor=ANN)
    session.run(f"{adopt} other.db --reason lost", actor=PIA)
    session.run("run pipeline --date 2026-11-24 --settings settings.csv --ledger other.db --json")
    session.run(f"verify {OUTPUT} --ledger other.db --json")
    session.run(f"verify {OUTPUT} --ledger ledger.db --json")
    session.run(f"{adopt} ledger.db --reason found", actor=PIA)
    session.run(f"subject view d-3 --tenant north --pipeline pipeline --also {OUTPUT} --json", actor=PIA)
    session.run(f"verify {OUTPUT} --json")


def _incident(session: Session) -> None:
    on = "--pipeline pipeline --json"
    contacts = (
        "tenant_id,role,name,address,suite\n"
        "north,privacy,Nora,nora@north.example,true\nsouth,security,Saul,saul@south.example,\n"
    )
    session.write("contacts.csv", contacts)
    session.run("incident lint contacts.csv --json")
    opened = f"--since 2026-11-20T00:00Z --exposed output:{OUTPUT}#records {on}"
    session.run(f'incident open INC-7 --title "A lost backup" --exposed column:model {opened}', actor=PIA)
    session.run(f'incident open INC-8 --title "A false alarm" --exposed date:2026-11-30 {opened}', actor=PIA)
    session.run(f'incident open INC-9 --title "A lost backup" {opened}', actor=ANN)
    session.run(f"incident close INC-8 --class false_positive --reason mistaken {on}", actor=PIA)
    session.run(f"incident scope INC-7 {on}", actor=PIA)
    session.run(f"incident declare INC-7 --class security_incident {on}", actor=PIA)
    session.run(f"incident reclassify INC-7 --class customer_reportable --reason lost {on}", actor=PIA)
    session.run(f"incident reclassify INC-7 --class security_incident --reason found {on}", actor=PIA)
    session.run(f'incident measure INC-7 "The key was changed." {on}', actor=PIA)
    session.run(f'incident measure INC-7 "Change passwords." --type action {on}', actor=PIA)
    session.run(f'incident exempt INC-7 west --reason "Told by telephone." {on}', actor=PIA)
    session.run(f"incident exempt INC-7 west --agree {on}", actor=PIA)
    session.run(f"incident exempt INC-7 west --agree {on}", actor=PAUL)
    notice = 'incident notice INC-7 --to notices --contact "Pia, privacy@example.com" --contacts contacts.csv'
    session.run(f"{notice} {on}", actor=PIA)
    session.run(f"incident close INC-7 --class customer_reportable --reason done {on}", actor=PIA)
    session.run(f"incident send INC-7 --outbox notices {on}", actor=PIA)
    session.run(f"incident send INC-7 --outbox notices --yes {on}", actor=PIA)
    session.run(f"incident mark-sent INC-7 --tenant north --tenant south {on}", actor=PIA)
    session.run(f"incident show INC-7 {on}", actor=PIA)
    session.run(f"incident list {on}", actor=PIA)
    session.run(f"incident close INC-7 --class customer_reportable --reason done {on}", actor=PIA)


def _log(session: Session) -> None:
    session.run("audit log --ledger ledger.db --json", actor=ANN)
    session.run("audit log --ledger ledger.db --json", actor=OLGA)
    session.run(f"audit verify --ledger ledger.db --receipts {OUTPUT} --json", actor=OLGA)
    session.run("audit export audit.ndjson --activity consent --ledger ledger.db --json", actor=OLGA)
    session.run("settings show --ledger ledger.db --json", actor=OLGA)
    session.run("runs --ledger ledger.db --json")
    session.run(f"report {OUTPUT} --at 2026-11-25T12:00:00Z --json")
    session.run("audit truncate --ledger ledger.db --json", actor=PIA)
    session.wait(days=400)
    on = "--pipeline pipeline --json"
    session.run(f"subject status {on}", actor=PIA)
    session.run(f"share recall list {on}", actor=PIA)
    session.run(f"consent mark-expired {on}", actor=PIA)
    session.run(f"functions list north {on}", actor=PIA)
    session.run("functions list north --html functions.html --pipeline pipeline", actor=PIA)
    session.run(f"contract end south vendor {on}", actor=PIA)
    session.run(f"contract show {on}", actor=PIA)
    session.run(f"expire {OUTPUT} --due --json", actor=PIA)
    # Not with --yes: the database itself compares the entries with its own clock, which cannot be set.
    session.run("audit truncate --to old.ndjson --ledger ledger.db --json", actor=PIA)
    session.run("audit verify --ledger ledger.db --json", actor=OLGA)
