#!/bin/sh
# Records data sets with PocketWorlds, reads them back with LeRobot itself, and compares every number and every picture.
#
#     sh scripts/check_lerobot.sh [folder]          (default: out/check-lerobot)
#
# LeRobot pins versions of NumPy, PyTorch and PyAV that clash with ours, so it gets a virtual environment of its own in
# the folder: name a Python it likes with LEROBOT_PYTHON (3.12 or newer), its version with LEROBOT ("lerobot[dataset]==0.6.1").
# The first run downloads gigabytes (PyTorch's ordinary build brings CUDA along).
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
out=${1:-$root/out/check-lerobot}
ours=${PYTHON:-$root/.venv/bin/python}
theirs=$out/venv/bin/python
mkdir -p "$out"
[ -x "$theirs" ] || "${LEROBOT_PYTHON:-python3.12}" -m venv "$out/venv"
"$theirs" -c 'import lerobot' 2>/dev/null || "$theirs" -m pip install "${LEROBOT:-lerobot[dataset]==0.6.1}"

record() { # name, and options of `pocketworlds record`
	name=$1
	shift
	"$ours" -m pocketworlds.cli record PocketWorlds/Scan-v0 --out "$out/$name" --format lerobot --replace "$@"
	"$ours" "$root/scripts/check_lerobot.py" reference "$out/$name" "$out/$name.npz"
	# Without PYTHONPATH: ours is none of its business. Offline: everything is in the folder.
	env -u PYTHONPATH HF_HUB_OFFLINE=1 HF_HOME="$out/cache" \
		"$theirs" "$root/scripts/check_lerobot.py" compare "$out/$name" "$out/$name.npz"
}

record state --expert --episodes 6
record film --random --episodes 5 --obs-mode state+rgbd --set image_size=64 --set max_episode_steps=40
record png --random --episodes 3 --obs-mode state+rgb --set image_size=33 --set max_episode_steps=20
record push --expert --noise 0.1 --episodes 4 --set task=push --set terminate_on_success=true --set object_jitter=0.02
