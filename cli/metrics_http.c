// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Metrics over HTTP, by libmicrohttpd: one thread, which nobody can make wait. Clients are few, have little
 * time and little memory; who holds all connections open keeps others from the metrics, and no guest from
 * anything. See metrics.h.
 */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/parse.h"
#include "cli/metrics.h"
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <microhttpd.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

#define CONNECTIONS_MAX 16
#define TIMEOUT_S       10
#define CLIENT_BYTES    16384 /* for what a client sends at most: a request's lines */

/* Boards change ten times a second. Who asks more often gets the same text again. */
#define FRESH_NS 100000000ULL

struct metrics_server {
    struct MHD_Daemon *daemon;
    struct metrics *metrics;
    /* The last answer in each format, and when it was made; 0: never. */
    struct MHD_Response *answers[METRICS_FORMATS];
    uint64_t made_ns[METRICS_FORMATS];
};

/* --- answers --------------------------------------------------------------------------------- */

static const char *const content_types[METRICS_FORMATS] = {
    [METRICS_OPENMETRICS] = "application/openmetrics-text; version=1.0.0; charset=utf-8",
    [METRICS_PLAIN] = "text/plain; version=0.0.4; charset=utf-8",
};

/* Prometheus names OpenMetrics first; a browser or curl does not name it. */
static enum metrics_format wanted_format(struct MHD_Connection *connection)
{
    const char *accept =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT);
    return accept && strcasestr(accept, "application/openmetrics-text") ? METRICS_OPENMETRICS
                                                                        : METRICS_PLAIN;
}

/* Takes text over. NULL without memory. */
static struct MHD_Response *respond(char *text, size_t bytes, const char *type)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(bytes, text, MHD_RESPMEM_MUST_FREE);
    if (!response) {
        free(text);
        return NULL;
    }
    if (MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type) == MHD_YES)
        return response;
    MHD_destroy_response(response);
    return NULL;
}

static enum MHD_Result send_word(struct MHD_Connection *connection, unsigned status,
                                 const char *word)
{
    char *text = strdup(word);
    struct MHD_Response *response =
        text ? respond(text, strlen(text), "text/plain; charset=utf-8") : NULL;
    if (!response)
        return MHD_NO;
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    const enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static struct matrix_error *renew(struct metrics_server *server, enum metrics_format format)
{
    const uint64_t now_ns = clock_now_ns(CLOCK_MONOTONIC);
    char *text = NULL;
    size_t bytes = 0;
    if (server->answers[format] && now_ns - server->made_ns[format] < FRESH_NS)
        return NULL;
    RETURN_IF_ERROR(metrics_look(server->metrics));
    RETURN_IF_ERROR(metrics_print(server->metrics, format, &text, &bytes));
    struct MHD_Response *response = respond(text, bytes, content_types[format]);
    if (!response)
        return error_host(ENOMEM, "answer with the metrics");
    /* Clients that still read the one before hold on to it. */
    if (server->answers[format])
        MHD_destroy_response(server->answers[format]);
    server->answers[format] = response;
    server->made_ns[format] = clock_now_ns(CLOCK_MONOTONIC);
    return NULL;
}

static enum MHD_Result send_metrics(struct metrics_server *server,
                                    struct MHD_Connection *connection)
{
    const enum metrics_format format = wanted_format(connection);
    CLEANUP_ERROR struct matrix_error *error = renew(server, format);
    if (error)
        return send_word(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, error->message);
    return MHD_queue_response(connection, MHD_HTTP_OK, server->answers[format]);
}

/* libmicrohttpd calls it when a request's lines have come, and again when its body has. */
static enum MHD_Result answer(void *context, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *body,
                              size_t *body_bytes, void **request)
{
    static int is_known;
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
        return send_word(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET\n");
    if (!*request) {
        *request = &is_known;
        return MHD_YES;
    }
    *body_bytes = 0; /* of a GET nobody reads it */
    if (strcmp(url, "/metrics") != 0)
        return send_word(connection, MHD_HTTP_NOT_FOUND, "nothing here but /metrics\n");
    return send_metrics(context, connection);
}

/* --- the address ----------------------------------------------------------------------------- */

struct matrix_error *metrics_parse_address(const char *text, struct sockaddr_storage *address)
{
    char host[INET6_ADDRSTRLEN] = "", on_loopback[64];
    if (text[0] && text[strspn(text, "0123456789")] == '\0') {
        snprintf(on_loopback, sizeof(on_loopback), "127.0.0.1:%s", text);
        text = on_loopback;
    }
    const char *colon = strrchr(text, ':');
    const bool is_v6 = text[0] == '[';
    const char *start = text + is_v6;
    const char *end = is_v6 ? strchr(text, ']') : colon;
    uint64_t port;
    *address = (struct sockaddr_storage){0};
    if (colon && end && end + is_v6 == colon && end - start < (ptrdiff_t)sizeof(host))
        snprintf(host, sizeof(host), "%.*s", (int)(end - start), start);
    struct sockaddr_in *v4 = (struct sockaddr_in *)address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)address;
    if (inet_pton(is_v6 ? AF_INET6 : AF_INET, host,
                  is_v6 ? (void *)&v6->sin6_addr : (void *)&v4->sin_addr) != 1)
        return error_usage("for example 127.0.0.1:9464, [::1]:9464, or 0.0.0.0:9464 for all "
                           "addresses of this host",
                           "'%s' is no ADDRESS:PORT, both as numbers", text);
    RETURN_IF_ERROR(error_prefix(parse_u64(colon + 1, 0, UINT16_MAX, &port), "the port"));
    address->ss_family = is_v6 ? AF_INET6 : AF_INET;
    *(is_v6 ? &v6->sin6_port : &v4->sin_port) = htons((uint16_t)port);
    return NULL;
}

bool metrics_is_loopback(const struct sockaddr_storage *address)
{
    if (address->ss_family == AF_INET6)
        return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)address)->sin6_addr);
    return ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
}

static char *print_url(const struct sockaddr_storage *address)
{
    char host[NI_MAXHOST], port[NI_MAXSERV], *url;
    const bool is_v6 = address->ss_family == AF_INET6;
    if (getnameinfo((const struct sockaddr *)address, sizeof(*address), host, sizeof(host), port,
                    sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) != 0 ||
        asprintf(&url, is_v6 ? "http://[%s]:%s/metrics" : "http://%s:%s/metrics", host, port) < 0)
        return NULL;
    return url;
}

static const char *what_helps(int number)
{
    switch (number) {
    case EADDRINUSE:
        return "is a `matrix metrics` running already? Take another port: 127.0.0.1:9465";
    case EADDRNOTAVAIL:
        return "this host has no such address; `ip address` lists those it has";
    case EACCES:
        return "ports below 1024 are for root: take a higher one";
    default:
        return NULL;
    }
}

static bool bind_to(int fd, const struct sockaddr_storage *address)
{
    const int yes = 1;
    const bool is_v6 = address->ss_family == AF_INET6;
    const socklen_t bytes = is_v6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    if (is_v6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof(yes)) < 0)
        return false;
    return setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) == 0 &&
           bind(fd, (const struct sockaddr *)address, bytes) == 0 &&
           listen(fd, CONNECTIONS_MAX) == 0;
}

static struct matrix_error *listen_at(const struct sockaddr_storage *address, int *fd)
{
    *fd = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (*fd >= 0 && bind_to(*fd, address))
        return NULL;
    const int number = errno;
    CLEANUP_FREE char *url = print_url(address);
    return error_new(MATRIX_ERROR_HOST, number, what_helps(number), "listen at %s",
                     url ? url : "the address");
}

/* --- the server ------------------------------------------------------------------------------ */

static struct matrix_error *start(struct metrics_server *server, int fd)
{
    server->daemon = MHD_start_daemon(
        MHD_USE_AUTO | MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL, answer, server,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)TIMEOUT_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)CLIENT_BYTES, MHD_OPTION_END);
    return server->daemon ? NULL : error_host(errno, "start the HTTP server");
}

struct matrix_error *metrics_serve(const struct sockaddr_storage *address, struct metrics *metrics,
                                   struct metrics_server **server, char **url)
{
    CLEANUP_CLOSE int fd = -1;
    RETURN_IF_ERROR(listen_at(address, &fd));
    struct sockaddr_storage chosen = *address;
    socklen_t bytes = sizeof(chosen);
    if (getsockname(fd, (struct sockaddr *)&chosen, &bytes) < 0)
        return error_host(errno, "find out the port");
    CLEANUP_FREE char *text = print_url(&chosen);
    CLEANUP_FREE struct metrics_server *made = calloc(1, sizeof(*made));
    if (!made || !text)
        return error_host(ENOMEM, "start the HTTP server");
    made->metrics = metrics;
    RETURN_IF_ERROR(start(made, fd));
    fd = -1; /* the daemon's */
    *server = TAKE(made);
    *url = TAKE(text);
    return NULL;
}

void metrics_stop(struct metrics_server *server)
{
    if (!server)
        return;
    MHD_stop_daemon(server->daemon);
    for (unsigned i = 0; i < METRICS_FORMATS; i++)
        if (server->answers[i])
            MHD_destroy_response(server->answers[i]);
    free(server);
}
