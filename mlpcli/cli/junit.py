"""Gates as JUnit XML, which CI systems show as tests."""

from collections.abc import Sequence
from xml.etree import ElementTree

from mlpcli.cli.escaping import on_one_line
from mlpcli.evaluation.gates import Verdict


def junit_xml(verdicts: Sequence[Verdict], seconds: float) -> bytes:
    """One test case per gate; a missed one has a failure. The time is that of the whole evaluation, in equal parts."""
    n_missed = sum(not verdict.passed for verdict in verdicts)
    totals = {"tests": f"{len(verdicts)}", "failures": f"{n_missed}", "errors": "0", "time": f"{seconds:.3f}"}
    root = ElementTree.Element("testsuites", {"name": "mlp eval", **totals})
    suite = ElementTree.SubElement(root, "testsuite", {"name": "mlp eval", **totals, "skipped": "0"})
    for verdict in verdicts:
        case = ElementTree.SubElement(
            suite,
            "testcase",
            {
                "classname": on_one_line(f"mlp.eval.{verdict.where}" if verdict.where else "mlp.eval"),
                "name": on_one_line(verdict.name),
                "time": f"{seconds / len(verdicts):.3f}",
            },
        )
        if not verdict.passed:
            text = on_one_line(verdict.text)
            ElementTree.SubElement(case, "failure", {"message": text, "type": "GateMissed"}).text = text
    ElementTree.indent(root)
    document: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return document + b"\n"
