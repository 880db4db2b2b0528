#include "shared/address.h"
#include "shared/error.h"
#include "shared/limits.h"
#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

static const char *port_check(struct bytes text, uint16_t *port)
{
    static const char wrong[] = "its port is not a number from 1 to 65535";
    uint32_t number = 0;

    if (text.size < 1 || text.size > 5)
        return wrong;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return wrong;
        number = number * 10 + (uint32_t)(text.data[i] - '0');
    }
    if (number < 1 || number > 65535)
        return wrong;
    *port = (uint16_t)number;
    return NULL;
}

static bool is_name_byte(uint8_t byte)
{
    return isalnum(byte) || byte == '-' || byte == '_' || byte == '.';
}

/* Between the brackets: an IPv6 address, perhaps with a zone ("fe80::1%eth0"). */
static const char *v6_check(struct bytes text)
{
    char address[INET6_ADDRSTRLEN];
    struct in6_addr parsed;
    const uint8_t *zone = memchr(text.data, '%', text.size);
    size_t size = zone ? (size_t)(zone - text.data) : text.size;

    if (size >= sizeof(address))
        return "what stands in its brackets is not an IPv6 address";
    memcpy(address, text.data, size);
    address[size] = 0;
    if (inet_pton(AF_INET6, address, &parsed) != 1)
        return "what stands in its brackets is not an IPv6 address";
    for (size_t i = size; i < text.size; i++) {
        if (i > size && !is_name_byte(text.data[i]))
            return "the zone after the '%' of its IPv6 address is not a name";
    }
    return zone && size + 1 == text.size ? "there is no zone after the '%' of its IPv6 address"
                                         : NULL;
}

static bool is_wildcard(struct bytes host)
{
    return host.size == 1 && host.data[0] == '*';
}

/* A name, an IPv4 address or *. What consists of digits and dots must be an address: a lookup of
 * "127.0.0" would find another machine than was meant. */
static const char *name_check(struct bytes text)
{
    char address[INET_ADDRSTRLEN];
    struct in_addr parsed;
    bool numeric = true;

    if (text.size == 0)
        return "it has no host; *:PORT means all addresses of the machine";
    if (is_wildcard(text))
        return NULL;
    if (memchr(text.data, ' ', text.size))
        return "it has a blank; write HOST:PORT, and a comma between two";
    if (memchr(text.data, ':', text.size))
        return "an IPv6 address must stand in brackets, as in [::1]:7400";
    for (size_t i = 0; i < text.size; i++) {
        if (!is_name_byte(text.data[i]))
            return "its host may have letters, digits, '-', '_' and '.' only";
        numeric = numeric && (isdigit(text.data[i]) || text.data[i] == '.');
    }
    if (!numeric)
        return NULL;
    if (text.size >= sizeof(address))
        return "its host is not an IPv4 address";
    memcpy(address, text.data, text.size);
    address[text.size] = 0;
    return inet_pton(AF_INET, address, &parsed) == 1 ? NULL : "its host is not an IPv4 address";
}

const char *address_check(struct bytes address, struct bytes *host, uint16_t *port)
{
    const uint8_t *colon = address.size ? memrchr(address.data, ':', address.size) : NULL;
    bool bracketed = address.size && address.data[0] == '[';
    struct bytes name;
    const char *wrong;

    if (!colon || address.data[address.size - 1] == ']')
        return "it has no port; write HOST:PORT";
    name = bytes_of(address.data, (size_t)(colon - address.data));
    if (bracketed) {
        if (name.size < 2 || name.data[name.size - 1] != ']')
            return "an IPv6 address must stand in brackets, as in [::1]:7400";
        name = bytes_of(name.data + 1, name.size - 2);
    }
    if (name.size > HOST_SIZE_MAX)
        return "its host is longer than 255 bytes";
    wrong = bracketed ? v6_check(name) : name_check(name);
    if (!wrong)
        wrong =
            port_check(bytes_of(colon + 1, address.size - name.size - (bracketed ? 3 : 1)), port);
    if (!wrong && host)
        *host = name;
    return wrong;
}

static struct bytes trim(struct bytes text)
{
    while (text.size && isspace(text.data[0]))
        text = bytes_of(text.data + 1, text.size - 1);
    while (text.size && isspace(text.data[text.size - 1]))
        text.size--;
    return text;
}

/* Cuts the next entry off a list and trims it; false at the end. As in "a," or "", an entry may be
 * empty. `list->data` becomes NULL after the last. */
static bool list_cut(struct bytes *list, struct bytes *entry)
{
    const uint8_t *comma;

    if (!list->data)
        return false;
    comma = memchr(list->data, ',', list->size);
    if (comma) {
        size_t size = (size_t)(comma - list->data);

        *entry = trim(bytes_of(list->data, size));
        *list = bytes_of(comma + 1, list->size - size - 1);
    } else {
        *entry = trim(*list);
        *list = bytes_of(NULL, 0);
    }
    return true;
}

static bool stands_before(struct bytes list, struct bytes address)
{
    struct bytes entry;

    while (list_cut(&list, &entry) && entry.data != address.data) {
        if (bytes_equal(entry, address))
            return true;
    }
    return false;
}

const char *address_list_check(struct bytes list, struct bytes *entry)
{
    struct bytes rest = list;
    size_t count = 0;

    while (list_cut(&rest, entry)) {
        struct bytes host = {NULL, 0};
        uint16_t port;
        const char *wrong = address_check(*entry, &host, &port);

        if (entry->size == 0)
            return "write HOST:PORT, HOST:PORT, with one comma between two";
        if (wrong)
            return wrong;
        if (is_wildcard(host))
            return "'*' is no address to connect to; name the machine";
        if (stands_before(list, *entry))
            return "it stands there twice; name each address once";
        if (++count > MEMBERS_MAX)
            return "it is one too many; at most 1024 may be listed";
    }
    return NULL;
}

static int address_copy(struct bytes address, char **host, uint16_t *port)
{
    struct bytes name;
    uint16_t number;

    if (address_check(address, &name, &number))
        return RK_INVALID;
    *host = strndup((const char *)name.data, name.size);
    if (!*host)
        return RK_NOMEM;
    *port = number;
    return 0;
}

const char *address_text(const char *host, uint16_t port, char to[ADDRESS_TEXT_SIZE])
{
    snprintf(to, ADDRESS_TEXT_SIZE, strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, port);
    return to;
}

int address_split(const char *address, char **host, uint16_t *port)
{
    return address_copy(bytes_from(address), host, port);
}

int address_next(const char **list, char **host, uint16_t *port)
{
    struct bytes rest = bytes_from(*list), entry;
    int failed;

    if (trim(rest).size == 0)
        return RK_NOTFOUND;
    list_cut(&rest, &entry);
    failed = address_copy(entry, host, port);
    if (!failed)
        *list = rest.data ? (const char *)rest.data : *list + strlen(*list);
    return failed;
}
