# Debian's kernel packages make no initial RAM disk then: this element does.
export INITRD=No
