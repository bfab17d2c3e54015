"""The pages of Gradio and Streamlit in examples/ answer a real clip, and tell what is wrong."""

import runpy
from pathlib import Path

import pytest

from bimodal import Recognizer

ROOT = Path(__file__).parents[2]
CLIP = ROOT / "src/bimodal/service/static/samples/cross.mp3"
pytestmark = pytest.mark.allow_hosts(["127.0.0.1"])


def test_gradio_serves_the_page_and_answers():
    pytest.importorskip("gradio", reason="needs gradio")
    client = pytest.importorskip("gradio_client", reason="needs gradio")
    app = runpy.run_path(str(ROOT / "examples" / "gradio_app.py"))["app"]
    _, url, _ = app.launch(prevent_thread_lock=True, quiet=True)
    try:
        asking = client.Client(url, verbose=False)
        label, line = asking.predict(client.handle_file(str(CLIP)), "Stop that!", api_name="/recognize")
        with pytest.raises(client.exceptions.AppError, match="nothing to recognise"):
            asking.predict(None, "", api_name="/recognize")
    finally:
        app.close()
    expected = Recognizer().recognize(CLIP, transcript="Stop that!")
    assert label["label"] == expected.emotion and expected.emotion in line


def test_streamlit_shows_the_scores_or_a_sentence():
    testing = pytest.importorskip("streamlit.testing.v1", reason="needs streamlit")
    app = testing.AppTest.from_file(str(ROOT / "examples" / "streamlit_app.py"), default_timeout=60).run()
    assert not app.exception and not app.markdown
    app.file_uploader[0].set_value(("cross.mp3", CLIP.read_bytes(), "audio/mpeg")).run()
    assert not app.exception and Recognizer().recognize(CLIP).emotion in app.markdown[0].value
    app.file_uploader[0].set_value(("bad.wav", b"no audio", "audio/wav")).run()
    assert not app.exception and "cannot be decoded" in app.error[0].value
