"use strict";
{% include "drawing.js" %}
{% include "figures.js" %}
{% include "tables.js" %}
{% include "page.js" %}
