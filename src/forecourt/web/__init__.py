"""What every HTML door has: style sheets and scripts, the theme, icons, security headers, forms."""
