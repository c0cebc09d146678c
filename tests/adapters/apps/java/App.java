import jakarta.servlet.*;
import jakarta.servlet.http.*;
import java.io.*;
import java.math.*;
import java.nio.file.*;
import java.util.*;
import org.apache.catalina.Context;
import org.apache.catalina.startup.Tomcat;
import static java.nio.charset.StandardCharsets.UTF_8;

/** Java's app, in Tomcat; rules.py says what it answers to. Arguments: the folder of the web app, and one for Tomcat. */
public class App extends HttpServlet {
    static final List<String> EVENTS = Collections.synchronizedList(new ArrayList<>());

    /** Listens to all that there is to hear. */
    public static class Listener implements HttpSessionListener, HttpSessionAttributeListener, HttpSessionIdListener {
        @Override public void sessionCreated(HttpSessionEvent event) { EVENTS.add("created " + event.getSession().isNew()); }
        @Override public void sessionDestroyed(HttpSessionEvent event) { EVENTS.add("destroyed " + event.getSession().getAttribute("user")); }
        @Override public void sessionIdChanged(HttpSessionEvent event, String old) { EVENTS.add("id " + !event.getSession().getId().equals(old)); }
        @Override public void attributeAdded(HttpSessionBindingEvent event) { EVENTS.add("added " + event.getName() + " " + event.getValue()); }
        @Override public void attributeRemoved(HttpSessionBindingEvent event) { EVENTS.add("removed " + event.getName() + " " + event.getValue()); }
        @Override public void attributeReplaced(HttpSessionBindingEvent event) {
            EVENTS.add("replaced " + event.getName() + " " + event.getValue() + " " + event.getSession().getAttribute(event.getName()));
        }
    }

    @Override protected void service(HttpServletRequest request, HttpServletResponse response) throws IOException, ServletException {
        String key = request.getParameter("key"), included = (String) request.getAttribute(RequestDispatcher.INCLUDE_SERVLET_PATH);
        String path = included == null ? request.getServletPath() : included;
        if (path.equals("/still")) { response.getOutputStream().print("no session here"); return; }
        if (path.equals("/plain")) { response.getWriter().print(request.getSession(false) == null); return; }
        HttpSession session = request.getSession();
        String text = "ok";
        switch (path) {
            case "/show": {
                StringJoiner all = new StringJoiner(",", "{", "}");
                for (String name : Collections.list(session.getAttributeNames())) all.add(json(name) + ":" + json(session.getAttribute(name)));
                response.setContentType("application/json;charset=utf-8");
                response.getWriter().print(all);
                return;
            }
            case "/read": text = "" + Collections.list(session.getAttributeNames()).size(); break;
            case "/set": session.setAttribute(key, new Reader(body(request)).value()); break;
            case "/public": response.setHeader("Cache-Control", "max-age=60, public"); session.setAttribute(key, 1); break;
            case "/drop": session.removeAttribute(key); break;
            case "/bad": session.setAttribute(key, new Date()); break;
            case "/login": text = request.changeSessionId(); session.setAttribute("user", request.getParameter("name")); break;
            case "/logout": session.invalidate(); break;

            case "/count": {
                Integer times = (Integer) session.getAttribute("times");
                session.setAttribute("times", times == null ? 1 : times + 1);
                break;
            }
            case "/values": {
                Map<String, Object> values = new LinkedHashMap<>();
                values.put("date", new Date());
                values.put("float", 1.5f);
                values.put("decimal", new BigDecimal("1.5"));
                values.put("character", 'x');
                values.put("short", (short) 1);
                values.put("nan", Double.NaN);
                values.put("infinite", Double.NEGATIVE_INFINITY);
                values.put("array", new int[] {1});
                values.put("set", new HashSet<>());
                values.put("object", new Object());
                values.put("keys", Collections.singletonMap(1, 2));
                values.put("deep", Collections.singletonMap("deeper", Arrays.asList(1, new Date())));
                List<Object> circle = new ArrayList<>();
                circle.add(circle);
                values.put("circle", circle);
                values.put("_session_id", "x");
                values.put("_java_long", "x");
                values.put("_java_user", "x");
                StringJoiner refused = new StringJoiner(",", "{", "}");
                for (Map.Entry<String, Object> each : values.entrySet())
                    try { session.setAttribute(each.getKey(), each.getValue()); }
                    catch (IllegalArgumentException error) { refused.add(json(each.getKey()) + ":" + json(error.getMessage())); }
                text = refused.toString();
                break;
            }
            case "/types": {
                StringJoiner types = new StringJoiner(" ");
                for (String name : Collections.list(session.getAttributeNames())) {
                    Object value = session.getAttribute(name);
                    types.add(name + "=" + (value == null ? null : value.getClass().getSimpleName()));
                }
                text = types.toString();
                break;
            }
            case "/long": session.setAttribute("id", 7L); session.setAttribute("n", 7); break;
            case "/all": {
                session.setAttribute("double", 1e300);
                session.setAttribute("long", Long.MIN_VALUE);
                session.setAttribute("large", new BigInteger("123456789012345678901234567890"));
                session.setAttribute("yes", true);
                session.setAttribute("list", Arrays.asList(1, null, "x", Collections.emptyMap(), Collections.emptyList()));
                session.setAttribute("map", Collections.singletonMap("é", "\u007f\ud83d\ude00\"\\\n"));
                session.setAttribute("gone", 1);
                session.setAttribute("gone", null);
                break;
            }
            case "/inside": inside(session, key).put("inside", new Date()); break;
            case "/inside-flush": inside(session, key).put("inside", 1); response.flushBuffer(); break;
            case "/inside-redirect": inside(session, key).put("inside", 1); response.sendRedirect("/still"); return;
            case "/again": session.invalidate(); request.getSession().setAttribute("user", "Ann"); break;
            case "/invalid": {
                session.invalidate();
                text = "" + request.getSession(false);
                try { session.getAttribute("x"); } catch (IllegalStateException error) { text += " " + error.getMessage(); }
                break;
            }
            case "/redirect": session.setAttribute("n", 1); response.sendRedirect("/still"); return;
            case "/error": session.setAttribute("n", 1); response.sendError(404, "not here"); return;
            case "/throw": session.setAttribute("n", 1); throw new ServletException("of the app");
            case "/reset": session.setAttribute("n", 1); response.getWriter().print("lost"); response.reset(); session.setAttribute("m", 2); break;
            case "/written": {
                PrintWriter out = response.getWriter();
                out.print("first ");
                session.setAttribute("n", 1);
                out.print("second");
                session.setAttribute("n", 2);
                return;
            }
            case "/large": {
                session.setAttribute("n", 1);
                byte[] page = new byte[1_000_000];
                Arrays.fill(page, (byte) 'x');
                response.getOutputStream().write(page);
                try { session.setAttribute("late", 1); } catch (IllegalStateException error) { System.out.println("refused: " + error.getMessage()); }
                return;
            }
            case "/late": response.getWriter().print("a"); response.flushBuffer(); session.setAttribute("late", 1); return;
            case "/late-inside": response.getWriter().print("a"); response.flushBuffer(); inside(session, key).put("late", 1); return;
            case "/include": {
                session.setAttribute("before", 1);
                response.getWriter().print("a");
                request.getRequestDispatcher("/written").include(request, response);
                session.setAttribute("after", 1);
                return;
            }
            case "/old": { // what javax.servlet.http.HttpSession has had since 2.0
                try {
                    HttpSession.class.getMethod("putValue", String.class, Object.class).invoke(session, "old", 1);
                    text = Arrays.toString((String[]) HttpSession.class.getMethod("getValueNames").invoke(session))
                        + HttpSession.class.getMethod("getValue", String.class).invoke(session, "old");
                    HttpSession.class.getMethod("removeValue", String.class).invoke(session, "n");
                } catch (ReflectiveOperationException error) { throw new ServletException(error); }
                break;
            }
            case "/timeout": {
                AsyncContext async = request.startAsync();
                async.setTimeout(10);
                async.addListener(new AsyncListener() {
                    @Override public void onTimeout(AsyncEvent event) throws IOException {
                        ((HttpServletRequest) event.getAsyncContext().getRequest()).getSession().setAttribute("late", 1);
                        event.getAsyncContext().getResponse().getWriter().print("too late");
                        event.getAsyncContext().complete();
                    }
                    @Override public void onComplete(AsyncEvent event) { }
                    @Override public void onError(AsyncEvent event) { }
                    @Override public void onStartAsync(AsyncEvent event) { }
                });
                return;
            }
            case "/async": {
                AsyncContext async = request.startAsync();
                async.start(() -> {
                    ((HttpServletRequest) async.getRequest()).getSession().setAttribute("async", 1);
                    async.complete();
                });
                return;
            }
            case "/dispatch": {
                if (request.getDispatcherType() == DispatcherType.ASYNC) { session.setAttribute("dispatched", 1); break; }
                request.startAsync().dispatch();
                return;
            }
            case "/dispatch-wrapped": {
                if (request.getDispatcherType() == DispatcherType.ASYNC) { session.setAttribute("wrapped", request.getAttribute("wrapped")); break; }
                HttpServletRequest wrapped = new HttpServletRequestWrapper(request) {
                    @Override public Object getAttribute(String name) { return name.equals("wrapped") ? (Object) true : super.getAttribute(name); }
                };
                request.startAsync(wrapped, response).dispatch();
                return;
            }
            case "/forward": session.setAttribute("n", 1); request.getRequestDispatcher("/set-more").forward(request, response); return;
            case "/set-more": session.setAttribute("more", 1); break;
            case "/shown-error": text = "the error page of " + session.getAttribute("user"); session.setAttribute("shown", 1); break;
            case "/fails": session.setAttribute("user", "Ann"); response.sendError(410); return;
            case "/remember": session.setAttribute("user", "Ann"); session.setMaxInactiveInterval(Integer.parseInt(key)); text = "" + session.getMaxInactiveInterval(); break;
            case "/id": text = session.getId() + " " + session.isNew() + " " + request.isRequestedSessionIdValid() + " " + request.getRequestedSessionId(); break;
            case "/about": text = (System.currentTimeMillis() - session.getCreationTime() < 10_000) + " " + session.getServletContext().getContextPath() + " "
                + session.getMaxInactiveInterval() + " " + session.equals(request.getSession()) + " " + (session == request.getSession()) + " " + (session.hashCode() == request.getSession().hashCode()); break;
            case "/events": text = String.join("\n", EVENTS); EVENTS.clear(); break;
            case "/flash": session.setAttribute("flash", Collections.singletonList("Saved.")); response.sendRedirect("/take-flash"); return;
            case "/take-flash": text = "" + session.getAttribute("flash"); session.removeAttribute("flash"); break;
            default: throw new ServletException("no such page: " + path);
        }
        response.getOutputStream().write(text.getBytes(UTF_8));
    }

    @SuppressWarnings("unchecked") private static Map<String, Object> inside(HttpSession session, String key) { return (Map<String, Object>) session.getAttribute(key); }

    private static String body(HttpServletRequest request) throws IOException {
        byte[] bytes = new byte[request.getContentLength()];
        new DataInputStream(request.getInputStream()).readFully(bytes);
        return new String(bytes, UTF_8);
    }

    /** What the test sends: enough JSON for that. */
    private static final class Reader {
        private final String text;
        private int at;
        Reader(String text) { this.text = text; }
        Object value() {
            char first = text.charAt(at);
            if (first == '[') { List<Object> list = new ArrayList<>(); for (at++; text.charAt(at) != ']'; comma()) list.add(value()); at++; return list; }
            if (first == '{') {
                Map<String, Object> map = new LinkedHashMap<>();
                for (at++; text.charAt(at) != '}'; comma()) { String key = (String) value(); at++; map.put(key, value()); }
                at++;
                return map;
            }
            if (first == '"') {
                StringBuilder out = new StringBuilder();
                for (at++; text.charAt(at) != '"'; at++) {
                    if (text.charAt(at) != '\\') { out.append(text.charAt(at)); continue; }
                    char escaped = text.charAt(++at);
                    if (escaped == 'u') { out.append((char) Integer.parseInt(text.substring(at + 1, at + 5), 16)); at += 4; }
                    else out.append("\"\\/\b\f\n\r\t".charAt("\"\\/bfnrt".indexOf(escaped)));
                }
                at++;
                return out.toString();
            }
            int from = at;
            while (at < text.length() && ",]}".indexOf(text.charAt(at)) < 0) at++;
            String word = text.substring(from, at);
            if (word.equals("null")) return null;
            if (word.equals("true") || word.equals("false")) return Boolean.valueOf(word);
            if (!word.matches("-?\\d+")) return Double.valueOf(word);
            BigInteger whole = new BigInteger(word);
            return whole.bitLength() < 32 ? (Object) whole.intValue() : whole.bitLength() < 64 ? (Object) whole.longValue() : whole;
        }
        private void comma() { if (text.charAt(at) == ',') at++; }
    }

    private static String json(Object value) {
        if (value instanceof Map) {
            StringJoiner out = new StringJoiner(",", "{", "}");
            ((Map<?, ?>) value).forEach((key, member) -> out.add(json(key) + ":" + json(member)));
            return out.toString();
        }
        if (value instanceof List) { StringJoiner out = new StringJoiner(",", "[", "]"); for (Object item : (List<?>) value) out.add(json(item)); return out.toString(); }
        if (!(value instanceof String)) return "" + value;
        StringBuilder out = new StringBuilder("\"");
        for (char c : ((String) value).toCharArray()) out.append(String.format("\\u%04x", (int) c));
        return out.append('"').toString();
    }

    public static void main(String[] arguments) throws Exception {
        Tomcat tomcat = new Tomcat();
        tomcat.setBaseDir(arguments[1]);
        tomcat.setAddDefaultWebXmlToWebapp(false);
        tomcat.setPort(Integer.parseInt(System.getenv("PORT")));
        tomcat.getConnector().setProperty("address", "127.0.0.1");
        tomcat.getConnector().setProperty("maxHttpHeaderSize", "32768");
        Context app = tomcat.addWebapp("", Paths.get(arguments[0]).toAbsolutePath().toString());
        app.setParentClassLoader(App.class.getClassLoader());
        tomcat.start();
        tomcat.getServer().await();
    }
}
