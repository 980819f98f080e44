/* SPDX-License-Identifier: Apache-2.0 */
/* Documents of libxml2's HTML parser. The library is opened when the first document is parsed, so
 * that other tests do not pay for it, and stays mapped until the process ends. */
#include <dlfcn.h>
#include <libxml/HTMLparser.h>
#include <libxml/HTMLtree.h>
#include <pthread.h>
#include <stdlib.h>
#include <strings.h>

#include "js/http/k6_html.h"

struct html_document {
    xmlDoc *doc;
    size_t refs;
    uintptr_t stamp;
};

static struct {
    void (*init_parser)(void);
    xmlDoc *(*read_memory)(const char *, int, const char *, const char *, int);
    void (*free_doc)(xmlDoc *);
    xmlBuffer *(*buffer_create)(void);
    void (*buffer_free)(xmlBuffer *);
    const xmlChar *(*buffer_content)(const xmlBuffer *);
    int (*node_dump)(xmlBuffer *, xmlDoc *, xmlNode *);
} xml;
static struct sq_error xml_error;
static pthread_once_t xml_once = PTHREAD_ONCE_INIT;

/* ---- the library ---- */

static void *open_library(void *unused)
{
    static const struct {
        void *target;
        const char *symbol;
    } table[] = {
        {&xml.init_parser, "xmlInitParser"}, {&xml.read_memory, "htmlReadMemory"},
        {&xml.free_doc, "xmlFreeDoc"},       {&xml.buffer_create, "xmlBufferCreate"},
        {&xml.buffer_free, "xmlBufferFree"}, {&xml.buffer_content, "xmlBufferContent"},
        {&xml.node_dump, "htmlNodeDump"},
    };
    void *library = dlopen("libxml2.so.2", RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);

    if (!library) {
        sq_error_set(&xml_error, SQ_EINVALID,
                     "k6/html needs the library libxml2.so.2, which cannot be opened (%s); Debian "
                     "and Ubuntu have it in the package libxml2",
                     dlerror());
        return unused;
    }
    for (size_t i = 0; i < SQ_COUNT(table); i++) {
        void *found = dlsym(library, table[i].symbol);
        if (!found)
            sq_error_set(&xml_error, SQ_EINVALID, "k6/html: this machine's libxml2 has no %s",
                         table[i].symbol);
        memcpy(table[i].target, &found, sizeof found);
    }
    if (!xml_error.code)
        xml.init_parser();
    return unused;
}

/* Loading a library needs more stack than a fiber has. */
static void on_a_thread(void *(*work)(void *), void *argument)
{
    enum { STACK_BYTES = 1024 * 1024 };
    pthread_t thread;
    pthread_attr_t attributes;

    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    if (pthread_create(&thread, &attributes, work, argument) != 0)
        sq_panic("cannot start a thread for k6/html");
    pthread_join(thread, NULL);
    pthread_attr_destroy(&attributes);
}

static void open_once(void)
{
    on_a_thread(open_library, NULL);
}

/* ---- documents ---- */

struct parsing {
    const char *text;
    size_t len;
    xmlDoc *doc;
};

static void *parse(void *argument)
{
    enum {
        OPTIONS = HTML_PARSE_RECOVER | HTML_PARSE_NOERROR | HTML_PARSE_NOWARNING |
                  HTML_PARSE_NONET | HTML_PARSE_NODEFDTD
    };
    struct parsing *p = argument;

    p->doc = xml.read_memory(p->text, (int)p->len, NULL, "UTF-8", OPTIONS);
    return NULL;
}

struct html_document *html_document_new(const char *text, size_t len, struct sq_error *err)
{
    static const char empty[] = "<html><body></body></html>";
    struct parsing p = {text, len, NULL};

    pthread_once(&xml_once, open_once);
    if (xml_error.code) {
        sq_error_set(err, xml_error.code, "%s", xml_error.text);
        return NULL;
    }
    if (len > INT32_MAX) {
        sq_error_set(err, SQ_ETOOBIG, "the document is too large");
        return NULL;
    }
    on_a_thread(parse, &p);
    if (!p.doc) { /* nothing in it */
        p.text = empty;
        p.len = sizeof empty - 1;
        on_a_thread(parse, &p);
    }
    if (!p.doc) {
        sq_error_set(err, SQ_EINVALID, "the document cannot be parsed");
        return NULL;
    }
    struct html_document *d = sq_xcalloc(1, sizeof *d);
    d->doc = p.doc;
    d->refs = 1;
    return d;
}

struct html_document *html_document_ref(struct html_document *d)
{
    d->refs++;
    return d;
}

void html_document_unref(struct html_document *d)
{
    if (!d || --d->refs)
        return;
    xml.free_doc(d->doc);
    free(d);
}

xmlNode *html_document_root(const struct html_document *d)
{
    return (xmlNode *)d->doc;
}

uintptr_t html_document_stamp(struct html_document *d)
{
    return ++d->stamp;
}

/* ---- trees ---- */

xmlNode *html_next_node(const xmlNode *node, const xmlNode *root)
{
    if (node->children && node->type != XML_ENTITY_REF_NODE && node->type != XML_DTD_NODE)
        return node->children;
    while (node != root && !node->next)
        node = node->parent;
    return node == root ? NULL : node->next;
}

bool html_is_element(const xmlNode *node)
{
    return node && node->type == XML_ELEMENT_NODE;
}

bool html_attribute(const xmlNode *node, const char *name, struct sq_buf *out)
{
    if (!html_is_element(node))
        return false;
    for (const xmlAttr *a = node->properties; a; a = a->next) {
        if (strcasecmp((const char *)a->name, name) != 0)
            continue;
        for (const xmlNode *n = a->children; n; n = n->next)
            if (n->content)
                sq_buf_puts(out, (const char *)n->content);
        return true;
    }
    return false;
}

void html_text(const xmlNode *node, struct sq_buf *out)
{
    for (const xmlNode *n = node; n; n = html_next_node(n, node))
        if ((n->type == XML_TEXT_NODE || n->type == XML_CDATA_SECTION_NODE) && n->content)
            sq_buf_puts(out, (const char *)n->content);
}

struct dumping {
    const struct html_document *document;
    const xmlNode *node;
    struct sq_buf *out;
};

static void *dump(void *argument)
{
    const struct dumping *d = argument;
    xmlBuffer *buffer = xml.buffer_create();

    for (xmlNode *n = d->node->children; n && buffer; n = n->next)
        xml.node_dump(buffer, d->document->doc, n);
    const xmlChar *text = buffer ? xml.buffer_content(buffer) : NULL;
    if (text)
        sq_buf_puts(d->out, (const char *)text);
    if (buffer)
        xml.buffer_free(buffer);
    return NULL;
}

void html_inner(const struct html_document *d, const xmlNode *node, struct sq_buf *out)
{
    on_a_thread(dump, &(struct dumping){d, node, out});
}
