"use strict";

// Swagger UI, from the package's own script. Nothing is asked of any other server: no validator, no fonts.
SwaggerUIBundle({
  url: document.body.dataset.description,
  domNode: document.getElementById("reference"),
  presets: [SwaggerUIBundle.presets.apis],
  validatorUrl: null,
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  defaultModelExpandDepth: 2,
  displayRequestDuration: true,
  filter: true,
});
