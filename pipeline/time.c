/* RFC 3339 and nanoseconds since 1970-01-01 UTC, in the proleptic Gregorian calendar without leap seconds.
 * Days and dates: Howard Hinnant's chrono-compatible algorithms (days_from_civil, civil_from_days). */
#include <string.h>

#include "pipeline/record.h"

#define NS_PER_S 1000000000

static int64_t days_from_date(int64_t year, int month, int day)
{
    int64_t era, year_of_era, day_of_year;

    year -= month <= 2;
    era = (year >= 0 ? year : year - 399) / 400;
    year_of_era = year - era * 400;
    day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

static void date_from_days(int64_t days, int *year, int *month, int *day)
{
    int64_t z = days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t day_of_era = z - era * 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted = (5 * day_of_year + 2) / 153;

    *day = (int)(day_of_year - (153 * shifted + 2) / 5 + 1);
    *month = (int)(shifted < 10 ? shifted + 3 : shifted - 9);
    *year = (int)(year_of_era + era * 400 + (*month <= 2));
}

static char *put_digits(char *at, int width, int64_t value)
{
    for (int i = width - 1; i >= 0; i--) {
        at[i] = (char)('0' + value % 10);
        value /= 10;
    }
    return at + width;
}

const char *np_time_format(int64_t ns, char out[40])
{
    int64_t seconds = ns / NS_PER_S, fraction = ns % NS_PER_S, days, second;
    int year, month, day;
    char *at = out;

    if (fraction < 0) {
        fraction += NS_PER_S;
        seconds--;
    }
    days = seconds / 86400;
    second = seconds % 86400;
    if (second < 0) {
        second += 86400;
        days--;
    }
    date_from_days(days, &year, &month, &day);
    at = put_digits(at, 4, year);
    *at++ = '-';
    at = put_digits(at, 2, month);
    *at++ = '-';
    at = put_digits(at, 2, day);
    *at++ = 'T';
    at = put_digits(at, 2, second / 3600);
    *at++ = ':';
    at = put_digits(at, 2, second / 60 % 60);
    *at++ = ':';
    at = put_digits(at, 2, second % 60);
    *at++ = '.';
    at = put_digits(at, 9, fraction);
    *at++ = 'Z';
    *at = '\0';
    return out;
}

/* Exactly width digits. */
static bool get_digits(const char **at, int width, int *value)
{
    *value = 0;
    for (int i = 0; i < width; i++, (*at)++) {
        if (**at < '0' || **at > '9')
            return false;
        *value = *value * 10 + (**at - '0');
    }
    return true;
}

static bool get_char(const char **at, char wanted)
{
    if (**at != wanted)
        return false;
    (*at)++;
    return true;
}

static int days_of_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    if (month == 2 && (year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)))
        return 29;
    return days[month - 1];
}

/* "", "Z", "+01:00", "+0100", "+01" */
static bool get_zone(const char **at, int *offset_s)
{
    int sign, hours, minutes = 0;

    *offset_s = 0;
    if (**at == '\0')
        return true;
    if (**at == 'Z' || **at == 'z') {
        (*at)++;
        return true;
    }
    if (**at != '+' && **at != '-')
        return false;
    sign = *(*at)++ == '-' ? -1 : 1;
    if (!get_digits(at, 2, &hours))
        return false;
    if (**at != '\0') {
        if (**at == ':')
            (*at)++;
        if (!get_digits(at, 2, &minutes))
            return false;
    }
    if (hours > 23 || minutes > 59)
        return false;
    *offset_s = sign * (hours * 3600 + minutes * 60);
    return true;
}

bool np_time_parse(const char *text, int64_t *ns)
{
    int year, month, day, hour, minute, second = 0, offset_s;
    int64_t fraction = 0, seconds, result;

    if (!get_digits(&text, 4, &year) || !get_char(&text, '-') || !get_digits(&text, 2, &month) ||
        !get_char(&text, '-') || !get_digits(&text, 2, &day))
        return false;
    if (*text != 'T' && *text != 't' && *text != ' ')
        return false;
    text++;
    if (!get_digits(&text, 2, &hour) || !get_char(&text, ':') || !get_digits(&text, 2, &minute))
        return false;
    if (get_char(&text, ':')) {
        if (!get_digits(&text, 2, &second))
            return false;
        if (*text == '.' || *text == ',') {
            int64_t unit = NS_PER_S / 10;

            text++;
            if (*text < '0' || *text > '9')
                return false;
            for (; *text >= '0' && *text <= '9'; text++, unit /= 10)
                fraction += unit * (*text - '0');
        }
    }
    if (!get_zone(&text, &offset_s) || *text != '\0')
        return false;
    /* second 60 is a leap second: the same instant as the second after it */
    if (month < 1 || month > 12 || day < 1 || day > days_of_month(year, month) || hour > 23 || minute > 59 ||
        second > 60)
        return false;
    seconds = days_from_date(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset_s;
    /* the lowest second in range is only partly so: its product overflows though the sum may not */
    if (seconds < 0 && fraction > 0) {
        seconds++;
        fraction -= NS_PER_S;
    }
    if (__builtin_mul_overflow(seconds, (int64_t)NS_PER_S, &result) ||
        __builtin_add_overflow(result, fraction, &result))
        return false;
    *ns = result;
    return true;
}
