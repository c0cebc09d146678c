import com.sun.net.httpserver.*;
import java.io.IOException;
import java.net.*;
import java.nio.file.*;
import java.util.*;
import java.util.regex.*;
import static java.nio.charset.StandardCharsets.UTF_8;
/** A small shop that knows nothing of cookies, nor of JSON: what it wants to know comes in headers of its own. */
public class App {
    static final String STRANGER = "<form method=post action=/login>Name: <input name=name required maxlength=40> <label><input type=checkbox name=remember> remember me</label> <button>Log in</button></form>";
    static final String FRIEND = "<form method=post action=/logout>Hello, <b id=name>%s</b>. <button>Log out</button></form>";
    static String html(String text) { return text.replace("&", "&amp;").replace("<", "&lt;"); }
    static long number(String text) { return text == null ? 0 : Long.parseLong(text); }
    static String field(String form, String name) {
        Matcher found = Pattern.compile("(?:^|&)" + name + "=([^&]*)").matcher(form);
        return found.find() ? URLDecoder.decode(found.group(1), UTF_8) : "";
    }

    static void page(HttpExchange http, int status, String main) throws IOException {
        http.getResponseHeaders().set("Content-Type", "text/html; charset=utf-8");
        http.getResponseHeaders().set("Cache-Control", "no-store"); // with Clear-Site-Data below: the back button shows nothing private
        http.sendResponseHeaders(status, 0);
        http.getResponseBody().write(("<!doctype html>\n<title>Hats and coats</title>\n<h1>Hats and coats, in Java</h1>\n" + main).getBytes(UTF_8));
    }

    static void answer(HttpExchange http) throws IOException {
        Headers in = http.getRequestHeaders(), out = http.getResponseHeaders();
        String path = http.getRequestURI().getPath(), name = in.getFirst("X-Name"), origin = in.getFirst("Origin");
        long count = number(in.getFirst("X-Count")), hats = number(in.getFirst("X-Hats")), coats = number(in.getFirst("X-Coats"));
        if (http.getRequestMethod().equals("POST")) {
            // SameSite does not send the session with forms of other sites, but their answers could replace it.
            if (origin != null && !origin.replaceFirst("^https?://", "").equals(in.getFirst("Host"))) path = "";
            String form = new String(http.getRequestBody().readNBytes(10_000), UTF_8), typed = field(form, "name"), article = field(form, "article");
            if (path.equals("/login") && typed.matches("[^\\x00-\\x1f\\x7f-\\x9f]{1,40}")) {
                out.set("X-Session-Save", in.getFirst("X-Session")); // as it came, and on top of it:
                out.set("X-Session-Merge", "{\"name\":\"%s\"}".formatted(URLEncoder.encode(typed, UTF_8)));
                out.set("X-Session-Max-Age", field(form, "remember").isEmpty() ? "0" : "2592000");
            } else if (path.equals("/count")) out.set("X-Session-Merge", "{\"count\":%d}".formatted(count + 1));
            else if (path.equals("/basket") && article.equals("hat")) out.set("X-Session-Merge", "{\"basket\":{\"hat\":%d}}".formatted(hats + 1));
            else if (path.equals("/basket") && article.equals("coat")) out.set("X-Session-Merge", "{\"basket\":{\"coat\":%d}}".formatted(coats + 1));
            else if (path.equals("/empty")) out.set("X-Session-Merge", "{\"basket\":null}");
            else if (path.equals("/logout")) out.putAll(Map.of("X-Session-Delete", List.of("1"), "Clear-Site-Data", List.of("\"cache\"")));
            else { page(http, 403, "<p>That form is not ours.\n"); return; }
            out.set("Location", "/");
            http.sendResponseHeaders(303, -1);
        } else if (path.equals("/session")) page(http, 200, "<pre id=session>" + html(in.getFirst("X-Session")) + "</pre>\n<p><a href=/>Back</a>\n");
        else if (path.equals("/")) {
            String who = name == null ? STRANGER : FRIEND.formatted(html(URLDecoder.decode(name, UTF_8)));
            page(http, 200, Files.readString(Path.of("shop.html")).formatted(who, count, hats, coats));
        } else page(http, 404, "<p>There is no such page.\n");
    }

    public static void main(String[] args) throws IOException {
        int port = Integer.parseInt(System.getenv().getOrDefault("PORT", "8000"));
        var server = HttpServer.create(new InetSocketAddress(System.getenv().getOrDefault("HOST", "127.0.0.1"), port), 0);
        server.createContext("/", http -> { answer(http); http.close(); });
        server.start();
    }
}
