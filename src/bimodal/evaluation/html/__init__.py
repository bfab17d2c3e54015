"""The report as one HTML page that needs no network: `page.build_page`; `page.SECTIONS` lists what it shows."""
