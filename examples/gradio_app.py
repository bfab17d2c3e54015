"""A page by Gradio: record or open a clip, see its emotion. Run it: `python examples/gradio_app.py`."""

import gradio

from bimodal import BimodalError, Recognizer

RECOGNIZER = Recognizer()


def recognize(path: str | None, words: str) -> tuple[dict[str, float], str]:
    """Scores of the clip, and the result as a line."""
    try:
        result = RECOGNIZER.recognize(path, transcript=words or None)
    except BimodalError as error:
        raise gradio.Error(str(error)) from error
    return dict(result.scores), str(result)


inputs = [gradio.Audio(type="filepath", label="Speech"), gradio.Textbox(label="Words, if known")]
outputs = [gradio.Label(label="Emotion"), gradio.Textbox(label="Result")]
app = gradio.Interface(recognize, inputs, outputs, analytics_enabled=False)

if __name__ == "__main__":
    app.launch()
