"""A page by Streamlit: open a clip, see its emotion. Run it: `streamlit run examples/streamlit_app.py`."""

import streamlit

from bimodal import BimodalError, Recognizer

recognizer = streamlit.cache_resource(Recognizer)()
words = streamlit.text_input("Words, if known")
speech = streamlit.file_uploader("Speech") or streamlit.audio_input("or record it")
if speech is not None:
    try:
        result = recognizer.recognize(speech.getvalue(), transcript=words or None)
        streamlit.bar_chart(dict(result.scores), horizontal=True)
        streamlit.write(str(result))
    except BimodalError as error:
        streamlit.error(str(error))
