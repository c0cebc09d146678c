import static java.nio.charset.StandardCharsets.ISO_8859_1;

import java.io.IOException;
import java.nio.file.*;
import java.security.*;
import java.util.*;
import java.util.function.UnaryOperator;
import java.util.regex.*;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/** Whether cloakroom has signed a request (RFC 9421). For a servlet filter, which answers 403 where it has not. */
final class Signed {
    /** The secrets of headers.signature by id; two of them while you replace one. */
    static final Map<String, Path> KEYS = Map.of("2026", Path.of("/run/secrets/app_signature_key"));
    /** Each header of [headers.claims] that the app reads. */
    static final List<String> FIELDS = List.of("x-session", "x-remote-user");

    static final Pattern INPUT = Pattern.compile(
        "cloakroom=(\\((\"[^\"]+\"(?: \"[^\"]+\")*)\\);created=\\d+;expires=(\\d{1,15});keyid=\"([^\"]*)\";alg=\"hmac-sha256\")");
    static final Pattern SIGNATURE = Pattern.compile("cloakroom=:([A-Za-z0-9+/]{43}=):");

    /**
     * @param target as in the request line; in a servlet getRequestURI(), and "?" and getQueryString()
     *     if that is not null
     * @param header the value of a header, or null: request::getHeader
     */
    static boolean request(String method, String target, UnaryOperator<String> header)
            throws IOException, GeneralSecurityException {
        Matcher input = INPUT.matcher(Objects.requireNonNullElse(header.apply("signature-input"), ""));
        Matcher signature = SIGNATURE.matcher(Objects.requireNonNullElse(header.apply("signature"), ""));
        if (!input.matches() || !signature.matches()) return false;
        List<String> names = List.of(input.group(2).replace("\"", "").split(" "));
        // A header that is present but not signed is forged.
        List<String> required = new ArrayList<>(List.of("@method", "@request-target", "x-session"));
        FIELDS.stream().filter(name -> header.apply(name) != null).forEach(required::add);
        Path key = KEYS.get(input.group(4));
        boolean isOver = Long.parseLong(input.group(3)) <= System.currentTimeMillis() / 1000;
        if (!names.containsAll(required) || isOver || key == null) return false;
        StringBuilder base = new StringBuilder();
        for (String name : names) {
            String value = switch (name) {
                case "@method" -> method;
                case "@request-target" -> target;
                default -> header.apply(name);
            };
            base.append('"').append(name).append("\": ").append(value).append('\n');
        }
        base.append("\"@signature-params\": ").append(input.group(1));
        // Latin-1 keeps each byte of the file and of the headers.
        String secret = Files.readString(key, ISO_8859_1).replaceFirst("\r?\n\\z", "");
        Mac mac = Mac.getInstance("HmacSHA256");
        mac.init(new SecretKeySpec(secret.getBytes(ISO_8859_1), "HmacSHA256"));
        byte[] right = mac.doFinal(base.toString().getBytes(ISO_8859_1));
        return MessageDigest.isEqual(right, Base64.getDecoder().decode(signature.group(1)));
    }
}
