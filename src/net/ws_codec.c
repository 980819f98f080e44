/* SPDX-License-Identifier: Apache-2.0 */
#include "net/ws_codec.h"

#include <stdlib.h>

#include "net/ws_conn_private.h"

static void incoming_free(struct sq_ws_incoming *incoming)
{
    sq_buf_deinit(&incoming->message);
    sq_buf_deinit(&incoming->stash);
    free(incoming);
}

static void codec_free(void *slot)
{
    struct sq_ws_codec *codec = slot;

    if (!codec)
        return;
    sq_ws_conn_cut_lingering(codec->net);
    while (codec->spare) {
        struct sq_ws_incoming *incoming = codec->spare;

        codec->spare = incoming->next;
        incoming_free(incoming);
    }
    sq_ws_deflate_pool_free(codec->pool);
    sq_buf_deinit(&codec->inflated);
    sq_buf_deinit(&codec->deflated);
    free(codec->scratch);
    free(codec);
}

struct sq_ws_codec *sq_ws_codec(struct sq_net *net)
{
    void **slot = sq_net_slot(net);

    if (SQ_UNLIKELY(!*slot)) {
        struct sq_ws_codec *codec = sq_xcalloc(1, sizeof *codec);

        codec->net = net;
        sq_list_init(&codec->gathering);
        codec->pool = sq_ws_deflate_pool_new();
        *slot = codec;
        sq_net_on_free(net, codec_free);
    }
    return *slot;
}

uint8_t *sq_ws_codec_scratch(struct sq_ws_codec *codec)
{
    if (!codec->scratch)
        codec->scratch = sq_xmalloc(SQ_WS_SCRATCH_BYTES);
    return codec->scratch;
}

void sq_ws_buf_recycle(struct sq_buf *buf)
{
    buf->len = 0;
    if (buf->cap > SQ_WS_SPARE_BYTES)
        sq_buf_deinit(buf);
}

struct sq_ws_incoming *sq_ws_incoming_acquire(struct sq_ws_codec *codec)
{
    struct sq_ws_incoming *incoming = codec->spare;

    if (!incoming)
        return sq_xcalloc(1, sizeof *incoming);
    codec->spare = incoming->next;
    codec->spare_count--;
    return incoming;
}

void sq_ws_incoming_release(struct sq_ws_codec *codec, struct sq_ws_incoming *incoming)
{
    if (!incoming)
        return;
    if (codec->spare_count == SQ_WS_SPARE_MAX) {
        incoming_free(incoming);
        return;
    }
    sq_ws_buf_recycle(&incoming->message);
    sq_ws_buf_recycle(&incoming->stash);
    incoming->stash_at = 0;
    incoming->control_len = 0;
    incoming->next = codec->spare;
    codec->spare = incoming;
    codec->spare_count++;
}
