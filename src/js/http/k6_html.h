/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of k6/html share (MOD-75): documents of libxml2, and selectors over their trees.
 * One thread and realm per document. */
#pragma once
#include <libxml/tree.h>

#include "base/buf.h"
#include "js/modules/modules.h"

/* ---- k6_html_document.c ---- */
struct html_document;
/* NULL with words: the library cannot be opened, or the text is too large. */
struct html_document *html_document_new(const char *text, size_t len, struct sq_error *err);
struct html_document *html_document_ref(struct html_document *d);
void html_document_unref(struct html_document *d);
xmlNode *html_document_root(const struct html_document *d);
/* A number that no node of the document has been stamped with. */
uintptr_t html_document_stamp(struct html_document *d);
/* The next node of the tree under `root` in document order; NULL at the end. */
xmlNode *html_next_node(const xmlNode *node, const xmlNode *root);
bool html_is_element(const xmlNode *node);
/* Value appended; false: the element has no such attribute. */
bool html_attribute(const xmlNode *node, const char *name, struct sq_buf *out);
void html_text(const xmlNode *node, struct sq_buf *out);
/* Markup of what is in the node. */
void html_inner(const struct html_document *d, const xmlNode *node, struct sq_buf *out);

/* ---- k6_html_form.c ---- */
/* 0, or -1 to stop. */
typedef int html_field_fn(void *user, const char *name, const char *value);
/* Each name and value that a form with the controls in and under `root` would send; what fn said.
 */
int html_each_field(const xmlNode *root, html_field_fn *fn, void *user);
/* The value of a data-* attribute as jQuery reads it: JSON where it is. undefined: none. */
JSValue html_data(JSContext *ctx, const xmlNode *node, const char *key);
JSValue html_all_data(JSContext *ctx, const xmlNode *node);

/* ---- k6_html_selector.c ---- */
struct html_selector;
/* NULL with words. */
struct html_selector *html_selector_new(const char *text, struct sq_error *err);
void html_selector_free(struct html_selector *s);
bool html_selector_matches(const struct html_selector *s, const xmlNode *node);
