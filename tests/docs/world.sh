# What the pages of the guide begin with: keys, and telemetry of yesterday in which somebody is known by name.
day=$(date -u -d yesterday +%F)
export MINIMIZE_KEYS=$PWD/demo.keys MINIMIZE_LEDGER=$PWD/ledger.db MINIMIZE_ACTOR=privacy-officer@example.com
minimize keys new demo.keys --name device --name user > /dev/null
minimize sample device_telemetry --rows 3000 --date "$day" --output sample_data/device_telemetry > /dev/null
python - sample_data/device_telemetry/"$day"/*.gz sample_data/device_telemetry/settings.csv <<'END'
import gzip, json, sys
from pathlib import Path
data, settings = map(Path, sys.argv[1:])
text = gzip.decompress(data.read_bytes()).decode("latin-1")
records = [json.loads(line) for line in text.splitlines()[:2000] if line.startswith("{") and line.endswith("}")]
first = next(each for each in records if "user_id" in each and "tenant_id" in each)
mine = dict.fromkeys(each["device_id"] for each in records if each.get("tenant_id") == first["tenant_id"] and "device_id" in each)
names = {first["tenant_id"]: "contoso", first["user_id"]: "U-12"} | dict(zip(mine, ("d-4711", "d-4712", "d-4713")))
for name, known in names.items():
    text = text.replace(name, known)
    settings.write_text(settings.read_text().replace(name, known))
data.write_bytes(gzip.compress(text.encode("latin-1")))
END
minimize settings import sample_data/device_telemetry/settings.csv --evidence "sample data" > /dev/null
