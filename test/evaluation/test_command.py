"""``vlm-perception evaluate`` from end to end."""

import json

import pytest

from vlm_perception.cli import main


def test_oracle_with_json_and_report(dataset, tmp_path, capsys):
    code = main(
        [
            "evaluate",
            str(dataset.folder),
            "--oracle-detections",
            "--json",
            str(tmp_path / "out" / "scores.json"),
            "--report",
            str(tmp_path / "report"),
        ]
    )
    assert code == 0
    data = json.loads((tmp_path / "out" / "scores.json").read_text())
    assert data["model"] == "oracle"
    assert data["overall"]["acc@0.5"] == 1.0
    assert (tmp_path / "report" / "index.html").is_file()
    printed = capsys.readouterr().out
    assert "oracle on three_boxes" in printed
    assert "scores.json" in printed


def test_limit(dataset, tmp_path):
    file = tmp_path / "scores.json"
    assert main(["evaluate", str(dataset.folder), "--oracle-detections", "--limit", "1", "--json", str(file)]) == 0
    assert json.loads(file.read_text())["expressions"] == 1


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["nowhere", "--oracle-detections"], "meta.json does not exist"),
        (["{folder}/meta.json", "--oracle-detections"], "needs an rgbd-rec/1 folder"),
        (["{folder}/meta.json", "--report", "r"], "needs an rgbd-rec/1 folder"),
        (["{folder}/meta.json"], "'images' is missing"),
        (["{folder}", "--model", "no-such-model"], "no-such-model"),
        (["{folder}", "--oracle-detections", "--option", "threshold=0.3"], "has no options"),
        (["{folder}", "--segmenter-option", "multimask=no"], "'depth-grabcut' has no option 'multimask'"),
        (["{folder}/meta.json", "--segmenter-option", "multimask=no"], "--segmenter-option needs an rgbd-rec/1 folder"),
    ],
)
def test_errors_are_explained(dataset, capsys, arguments, complaint):
    assert main(["evaluate", *(a.format(folder=dataset.folder) for a in arguments)]) == 2
    assert complaint in capsys.readouterr().err
