"""The second opinion about what left: other means than the filter's, for `callstream privacy audit`."""
